/*
 * What test_hostile.c begins with: a request of each operation that is good and has a value in
 * each of its messages, and what is legal of the bad values that it puts in.
 */
#pragma once

#include "support/rpc_fixture.h"

struct request_text {
    const char *method;
    const char *text; /* support/message_text.h */
};

extern const struct request_text good_requests[];
extern const size_t good_requests_count;

/* A path of fields, and the bad values that are no reason to refuse it. */
struct legal_value {
    const char *path; /* "Operation.field.field", with * and ? as for files (fnmatch) */
    unsigned values;  /* bits of enum bad_value */
};

enum bad_value {
    /* Texts. */
    BAD_EMPTY,
    BAD_LONG, /* 64 KiB */
    BAD_NUL,
    BAD_UTF8,
    BAD_CONTROL,
    BAD_NEWLINE,
    BAD_UP,       /* ../x */
    BAD_ROOT,     /* /etc/passwd */
    BAD_SLASH,    /* a/b */
    BAD_PATTERN,  /* a regular expression that does not compile */
    BAD_REPEAT,   /* one whose automaton would be enormous */
    BAD_EXPONENT, /* one that takes those exponential time who go back */
    /* Bytes. */
    BAD_NO_BYTES,
    BAD_MANY_BYTES,
    /* Numbers. */
    BAD_MINUS_ONE, /* of unsigned ones: the largest */
    BAD_LARGEST,
    BAD_SMALLEST,
    BAD_NAN,
    BAD_INFINITE,
    BAD_HUGE,
    BAD_ENUM,
    BAD_ENUM_ZERO,
    /* Messages and lists. */
    BAD_MISSING,
    BAD_TWICE,
    BAD_MANY,     /* 10,000 */
    BAD_TOO_MANY, /* 10,001 */
    BAD_COUNT
};

extern const struct legal_value legal_values[];
extern const size_t legal_values_count;

/* A field whose absence or value is another's fault: that one is named. */
struct other_field {
    const char *path;  /* as above */
    const char *named; /* NULL: any */
};

extern const struct other_field other_fields[];
extern const size_t other_fields_count;

/* What the requests speak of. */
void add_what_requests_name(struct fixture *fixture);
