/*
 * The history of changes: ChangeList.
 */
#include "handlers/change.h"
#include "base/buffer.h"
#include "handlers/handlers.h"
#include "model/fields.h"
#include "mxadm/v1/admin.pb-c.h"

#include <string.h>

#define PAGE_SIZE_DEFAULT 100
#define PAGE_SIZE_MAX     1000
#define PRINCIPAL_MAX     64
/* From year 1 to 9999, as google.protobuf.Timestamp has it. */
#define TIMESTAMP_MIN_S (-62135596800)
#define TIMESTAMP_MAX_S 253402300799

/* ----------------------------------------------------------------- request */

/* What the caller wants to see of the history. */
struct wanted {
    struct history_filter filter;
    const char *principal; /* NULL: all */
    int64_t from_us;
    int64_t to_us; /* INT64_MAX: no end */
};

void change_scope(struct rpc_call *call, struct history_filter *filter)
{
    const struct principal *principal = call_principal(call);

    filter->view = call_model(call)->view;
    if (principal->role == ROLE_DOMAIN_ADMINISTRATOR) {
        filter->scoped = true;
        filter->domains = principal->domains;
        filter->domain_count = principal->domain_count;
    }
}

static void read_time(struct rpc_call *call, const char *field,
                      const Google__Protobuf__Timestamp *time, int64_t *us_out)
{
    if (time == NULL) {
        return;
    }
    if (time->seconds < TIMESTAMP_MIN_S || time->seconds > TIMESTAMP_MAX_S || time->nanos < 0 ||
        time->nanos > 999999999) {
        status_field(call_status(call), field, "%lld s %d ns is not a time from year 1 to 9999",
                     (long long) time->seconds, time->nanos);
        return;
    }
    /* A fraction of a microsecond later is the next one: a change's time has no finer. */
    *us_out = time->seconds * 1000000 + (time->nanos + 999) / 1000;
}

static bool read_wanted(struct rpc_call *call, const Mxadm__V1__ChangeListRequest *request,
                        struct wanted *wanted)
{
    struct model *model = call_model(call);
    struct name_domain domain;

    *wanted = (struct wanted){ .from_us = INT64_MIN, .to_us = INT64_MAX };
    change_scope(call, &wanted->filter);
    if (request->domain[0] != '\0' && field_domain(model, "domain", request->domain, &domain)) {
        wanted->filter.domain = domain.name;
    }
    if (request->account[0] != '\0') {
        (void) field_account(model, "account", request->account, &wanted->filter.account);
    }
    if (strlen(request->principal) > PRINCIPAL_MAX) {
        status_field(model->status, "principal", "is longer than %d bytes", PRINCIPAL_MAX);
    }
    wanted->principal = request->principal[0] == '\0' ? NULL : request->principal;
    read_time(call, "from_time", request->from_time, &wanted->from_us);
    read_time(call, "to_time", request->to_time, &wanted->to_us);
    return status_ok(model->status) &&
           (wanted->filter.domain == NULL || call_covers(call, wanted->filter.domain));
}

static bool has_filter(const struct wanted *wanted)
{
    return wanted->filter.scoped || wanted->filter.domain != NULL || wanted->filter.account != NULL;
}

static bool wants_head(const struct wanted *wanted, const struct history_head *head)
{
    return (wanted->principal == NULL ||
            (head->principal.len == strlen(wanted->principal) &&
             memcmp(head->principal.data, wanted->principal, head->principal.len) == 0)) &&
           head->time_us >= wanted->from_us && head->time_us < wanted->to_us;
}

/* -------------------------------------------------------------------- page */

struct page {
    struct rpc_call *call;
    struct wanted wanted;
    size_t size_max; /* changes */
    size_t size;
    size_t bytes;
    size_t steps;           /* changes looked at */
    uint64_t revision;      /* complete up to */
    uint64_t skip;          /* records of the first change to leave out */
    uint64_t record_offset; /* of the answer */
};

struct part {
    struct part *next;
    struct slice packed;
};

/* The records of one change that go into the answer. */
struct picked {
    struct part *first;
    struct part **end;
    size_t count;
    size_t bytes;
    bool cut; /* there are more */
};

enum { CHANGE_RECORDS = 6 };

static size_t run_size(size_t len)
{
    return 1 + varint_size(len) + len;
}

static void add_part(struct page *page, struct picked *picked, struct slice packed)
{
    struct part *part = arena_alloc(call_arena(page->call), sizeof(*part));

    part->packed = packed;
    *picked->end = part;
    picked->end = &part->next;
    picked->count++;
    picked->bytes += run_size(packed.len);
}

/* False: damaged, reported. */
static bool pick(struct page *page, struct change_reader *reader, struct picked *picked)
{
    struct model *model = call_model(page->call);
    struct backend_edit edit;
    uint64_t skip = page->skip;
    int more;

    while ((more = change_next(reader, &edit)) > 0 && status_ok(model->status)) {
        if (!history_shows(&page->wanted.filter, &edit)) {
            continue;
        }
        if (skip > 0) {
            skip--;
            continue;
        }
        /* The first record of a page has its place, however large it is. */
        if ((page->size > 0 || picked->count > 0) &&
            page->bytes + picked->bytes + edit.before_len + edit.after_len > CALL_PAGE_BYTES_MAX) {
            picked->cut = true;
            return true;
        }
        add_part(page, picked, history_record_change(model, &edit));
    }
    if (more < 0) {
        status_fail(model->status, MX_DATA_LOSS, "HISTORY_DAMAGED",
                    "change %llu of the history can't be read to its end",
                    (unsigned long long) page->revision + 1);
    }
    return status_ok(model->status);
}

static char *text_of(struct page *page, struct slice bytes)
{
    return arena_strndup(call_arena(page->call), (const char *) bytes.data, bytes.len);
}

/* All of the change but its records. */
static struct slice pack_head(struct page *page, uint64_t revision, uint64_t record_count,
                              const struct history_head *head)
{
    Mxadm__V1__Change change = MXADM__V1__CHANGE__INIT;
    Google__Protobuf__Timestamp time = record_timestamp(head->time_us);
    uint8_t *packed;

    change.revision = revision;
    change.time = &time;
    change.principal = text_of(page, head->principal);
    change.method = text_of(page, head->method);
    change.request_id.data = (uint8_t *) head->request_id.data;
    change.request_id.len = head->request_id.len;
    change.record_count = record_count;
    change.record_offset = page->skip;
    packed = arena_alloc(call_arena(page->call), mxadm__v1__change__get_packed_size(&change));
    return slice_of(packed, mxadm__v1__change__pack(&change, packed));
}

static void add_change(struct page *page, struct slice head, const struct picked *picked)
{
    size_t len = head.len + picked->bytes;
    uint8_t *packed = arena_alloc(call_arena(page->call), len);
    uint8_t *at = packed + head.len;

    memcpy(packed, head.data, head.len);
    for (const struct part *part = picked->first; part != NULL; part = part->next) {
        *at++ = CHANGE_RECORDS << 3 | 2;
        at = varint_put(at, part->packed.len);
        memcpy(at, part->packed.data, part->packed.len);
        at += part->packed.len;
    }
    call_answer_field(page->call, 1, slice_of(packed, len));
    page->size++;
    page->bytes += len;
}

/* Whether the change is shown: it has a record to show, or has none at all and nothing is asked
 * for. */
static bool is_shown(const struct page *page, const struct picked *picked, uint64_t record_count)
{
    return picked->count > 0 || (record_count == 0 && !has_filter(&page->wanted));
}

/* Adds what the page wants of the change. False: the page ends before it, or within it. */
static bool look_at(struct page *page, const struct call_change *change)
{
    struct picked picked = { .end = &picked.first };
    struct change_reader reader;
    struct history_head head;
    uint64_t record_count;

    page->steps++;
    if (!history_open(change->bytes, &head, &reader)) {
        status_fail(call_status(page->call), MX_DATA_LOSS, "HISTORY_DAMAGED",
                    "change %llu of the history can't be read",
                    (unsigned long long) change->revision);
        return false;
    }
    record_count = reader.left;
    if (wants_head(&page->wanted, &head)) {
        if (!pick(page, &reader, &picked) || (picked.cut && page->size > 0)) {
            return false;
        }
        if (is_shown(page, &picked, record_count)) {
            add_change(page, pack_head(page, change->revision, record_count, &head), &picked);
        }
        if (picked.cut) {
            page->record_offset = page->skip + picked.count;
            return false;
        }
    }
    page->skip = 0;
    page->revision = change->revision;
    return page->size < page->size_max && page->steps < CALL_PAGE_STEPS_MAX;
}

/* And found nothing. */
static bool has_seen_all(const struct page *page)
{
    return page->size == 0 && page->revision == call_revision(page->call);
}

static void change_list(struct rpc_call *call)
{
    const Mxadm__V1__ChangeListRequest *request = call_request(call);
    Mxadm__V1__ChangeListResponse response = MXADM__V1__CHANGE_LIST_RESPONSE__INIT;
    struct page page = { .call = call, .revision = request->after_revision };
    uint64_t waited_after = call_waited_after(call);
    struct call_change change;

    if (waited_after > page.revision) {
        page.revision = waited_after;
    }
    page.skip = request->record_offset;
    page.size_max = request->page_size == 0 ? PAGE_SIZE_DEFAULT : request->page_size;
    page.size_max = page.size_max > PAGE_SIZE_MAX ? PAGE_SIZE_MAX : page.size_max;
    if (!read_wanted(call, request, &page.wanted) || !call_history(call, page.revision)) {
        return;
    }
    while (call_history_next(call, &change) && look_at(&page, &change)) {
    }
    if (call_must_return(call) ||
        (request->wait && has_seen_all(&page) && call_wait_for_changes(call, page.revision))) {
        return;
    }
    response.revision = page.revision;
    response.record_offset = page.record_offset;
    call_answer(call, &response.base);
}

const struct rpc_row change_rows[] = {
    { "ChangeList", change_list, RPC_READ, ROLE_VIEWER, false, false, NULL },
    { 0 },
};
