/*
 * YAML as it is written: libyaml's emitter behind verbs that say what comes
 * next. Maps and lists in block style, one entry a line however long, UTF-8.
 *
 * An emitter that has failed (out of memory) swallows what follows;
 * emitter_end() says so. One thread at a time.
 */
#pragma once

#include "base/buffer.h"

struct emitter;

/* A document written to the end of `out`, borrowed. NULL: out of memory. */
struct emitter *emitter_create(struct buffer *out);
/* Also in the middle of a document. NULL is fine. */
void emitter_destroy(struct emitter *emitter);

void emitter_map(struct emitter *emitter);
void emitter_map_end(struct emitter *emitter);
void emitter_list(struct emitter *emitter);
void emitter_list_end(struct emitter *emitter);
/* Any UTF-8 text, quoted where it would be read back as anything else. */
void emitter_text(struct emitter *emitter, const char *text);
/* A number, a word, a flag: as it stands. */
void emitter_word(struct emitter *emitter, const char *word);

/* The document's end; all of it is in the buffer then. False: it failed somewhere. */
bool emitter_end(struct emitter *emitter);
