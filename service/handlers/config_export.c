/*
 * ConfigExport: the configuration as a document (yaml/format.h), part by part.
 *
 * All parts come from one snapshot, named by the page token, which also says
 * where to go on: the section, the last key looked at, and with what the
 * secrets are sealed. Each part is emitted as documents of its own, one for each
 * section; what such a one repeats of the part before (the lines down to where
 * it goes on) is cut off.
 */
#include "handlers/config_yaml.h"

#include "handlers/handlers.h"
#include "keys/passphrase.h"
#include "model/address.h"
#include "model/dkim.h"
#include "model/domain.h"
#include "model/fields.h"
#include "model/packed.h"
#include "settings/settings.h"
#include "yaml/write.h"

#include <stdlib.h>
#include <string.h>

/* Keys that one part looks at, most of which it may leave out. */
#define STEPS_MAX 200000
/* A passphrase_seal() of CONFIG_SEAL_TEXT. */
#define CHECK_SIZE (12 + sizeof(CONFIG_SEAL_TEXT) - 1 + 16)
/* The token's own, in front of the key: section, flags, and with a passphrase salt and check. */
#define CURSOR_HEAD   2
#define CURSOR_SEALED (PASSPHRASE_SALT_SIZE + CHECK_SIZE)
#define CURSOR_MAX    (CURSOR_HEAD + CURSOR_SEALED + STORE_KEY_MAX)
/* The section's line is in an earlier part. */
#define FLAG_BEGUN 1

struct export
{
    struct rpc_call *call;
    const char *domain; /* NULL: everything */
    struct buffer out;
    struct emitter *emitter; /* of the section, once it has an entry */
    size_t emitted_at;       /* where in `out` that begins */
    const char *cut_behind;  /* the emitter's output up to and with this line is there already */
    enum format_section section;
    bool begun; /* the section's line is out */
    uint8_t after[STORE_KEY_MAX];
    size_t after_len;
    bool full; /* the part ends here */
    size_t steps;
    struct passphrase *passphrase; /* NULL: secrets are hidden */
    struct passphrase_parameters parameters;
    uint8_t check[CHECK_SIZE];
    struct write write;
    enum record_kind
        kind; /* of the record being written, and its name: secrets are bound to them */
    const char *name;
};

static void export_destroy(void *found)
{
    struct export *export = found;

    emitter_destroy(export->emitter);
    passphrase_destroy(export->passphrase);
    buffer_fini(&export->out);
    free(export);
}

static bool failed(struct export *export)
{
    (void) status_fail(call_status(export->call), MX_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY",
                       "no memory for the document");
    export->full = true;
    return false;
}

/* ----------------------------------------------------------------- secrets */

const char *config_secret_bound(struct arena *arena, enum record_kind kind, const char *name,
                                const char *field)
{
    return arena_printf(arena, "mxadm.v1 %s %s %s", record_kind_name(kind), name, field);
}

static const char *seal_field(void *context, const char *path, const char *secret)
{
    struct export *export = context;
    struct arena *arena = export->write.arena;
    const char *bound = config_secret_bound(arena, export->kind, export->name, path);
    size_t len;
    uint8_t *sealed =
        passphrase_seal(export->passphrase, arena, bound, secret, strlen(secret), &len);

    if (sealed == NULL) {
        (void) failed(export);
        return NULL;
    }
    return format_base64(arena, sealed, len);
}

static bool derive(struct export *export, const char *text)
{
    struct mx_error err;

    if (passphrase_create(text, &export->parameters, &export->passphrase, &err) != MX_OK) {
        (void) status_error(call_status(export->call), &err);
        return false;
    }
    export->write.seal = seal_field;
    export->write.context = export;
    return true;
}

/* Of the first part. */
static bool begin_sealing(struct export *export, const char *text)
{
    struct arena *arena = call_arena(export->call);
    uint8_t *check;
    size_t len;

    if (!passphrase_salt(export->parameters.salt) || !derive(export, text)) {
        return status_ok(call_status(export->call)) ? failed(export) : false;
    }
    check = passphrase_seal(export->passphrase, arena, CONFIG_SEAL_BOUND, CONFIG_SEAL_TEXT,
                            strlen(CONFIG_SEAL_TEXT), &len);
    if (check == NULL || len != CHECK_SIZE) {
        return failed(export);
    }
    memcpy(export->check, check, CHECK_SIZE);
    return true;
}

/* Of the others: with the first one's salt, and the passphrase has to be the same. */
static bool continue_sealing(struct export *export, const char *text)
{
    struct secret known = { NULL, 0 };
    bool good;

    if (!derive(export, text)) {
        return false;
    }
    good =
        passphrase_open(export->passphrase, CONFIG_SEAL_BOUND, export->check, CHECK_SIZE, &known);
    secret_free(&known);
    if (!good) {
        (void) status_field(call_status(export->call), "passphrase",
                            "is not that of the parts before");
    }
    return good;
}

bool config_check_passphrase(struct rpc_call *call, const char *text)
{
    size_t len = strlen(text);

    if (!call_principal(call)->key_reader) {
        (void) status_fail(call_status(call), MX_PERMISSION_DENIED, "ROLE_MISSING",
                           "%s may not see private keys", call_principal(call)->name);
        return false;
    }
    if (len < PASSPHRASE_BYTES_MIN || len > PASSPHRASE_BYTES_MAX) {
        (void) status_field(call_status(call), "passphrase", "must have %d to %d bytes",
                            PASSPHRASE_BYTES_MIN, PASSPHRASE_BYTES_MAX);
        return false;
    }
    return true;
}

/* ------------------------------------------------------------------ cursor */

/* What call_page_token() gave back of the part before. */
static bool read_cursor(struct export *export, struct slice bytes, bool sealed)
{
    size_t head = CURSOR_HEAD + (sealed ? CURSOR_SEALED : 0);

    if (bytes.len < head || bytes.data[0] >= FORMAT_SECTIONS ||
        bytes.len - head > sizeof(export->after)) {
        (void) status_field(call_status(export->call), "page_token", "is not a page token");
        return false;
    }
    export->section = (enum format_section) bytes.data[0];
    export->begun = (bytes.data[1] & FLAG_BEGUN) != 0;
    if (sealed) {
        memcpy(export->parameters.salt, bytes.data + CURSOR_HEAD, PASSPHRASE_SALT_SIZE);
        memcpy(export->check, bytes.data + CURSOR_HEAD + PASSPHRASE_SALT_SIZE, CHECK_SIZE);
    }
    export->after_len = bytes.len - head;
    memcpy(export->after, bytes.data + head, export->after_len);
    return true;
}

static const char *cursor_token(struct export *export)
{
    uint8_t bytes[CURSOR_MAX];
    size_t len = CURSOR_HEAD;

    bytes[0] = (uint8_t) export->section;
    bytes[1] = export->begun ? FLAG_BEGUN : 0;
    if (export->passphrase != NULL) {
        memcpy(bytes + len, export->parameters.salt, PASSPHRASE_SALT_SIZE);
        memcpy(bytes + len + PASSPHRASE_SALT_SIZE, export->check, CHECK_SIZE);
        len += CURSOR_SEALED;
    }
    memcpy(bytes + len, export->after, export->after_len);
    return call_page_token(export->call, slice_of(bytes, len + export->after_len));
}

/* Notes how far the part has come, and whether there is room for more. */
static void step(struct export *export, struct slice key)
{
    memcpy(export->after, key.data, key.len);
    export->after_len = key.len;
    export->steps++;
    export->full =
        export->full || export->steps >= STEPS_MAX || export->out.len >= CALL_PAGE_BYTES_MAX;
}

/* ---------------------------------------------------------------- sections */

/* Makes sure that the section is open, for an entry. */
static bool open_section(struct export *export)
{
    if (export->emitter != NULL) {
        return true;
    }
    export->emitted_at = export->out.len;
    export->emitter = emitter_create(&export->out);
    if (export->emitter == NULL) {
        return failed(export);
    }
    export->write.emitter = export->emitter;
    if (export->begun && export->cut_behind == NULL) {
        export->cut_behind = format_section_name(export->section);
    }
    export->begun = true;
    emitter_map(export->emitter);
    emitter_text(export->emitter, format_section_name(export->section));
    emitter_map(export->emitter);
    return true;
}

/* The place behind the first line that is `name` and a colon. */
static size_t behind_line(const char *text, size_t len, const char *name)
{
    size_t name_len = strlen(name);
    const char *at = text;
    const char *end = text + len;

    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t) (end - at));
        const char *word = at;

        if (line_end == NULL) {
            break;
        }
        while (*word == ' ') {
            word++;
        }
        if ((size_t) (line_end - word) == name_len + 1 && memcmp(word, name, name_len) == 0 &&
            word[name_len] == ':') {
            return (size_t) (line_end + 1 - text);
        }
        at = line_end + 1;
    }
    return 0;
}

static void cut(struct export *export)
{
    char *text = (char *) export->out.data + export->emitted_at;
    size_t len = export->out.len - export->emitted_at;
    size_t gone;

    if (export->cut_behind == NULL) {
        return;
    }
    gone = behind_line(text, len, export->cut_behind);
    memmove(text, text + gone, len - gone);
    export->out.len -= gone;
    export->cut_behind = NULL;
}

static void close_section(struct export *export)
{
    if (export->emitter == NULL) {
        return;
    }
    emitter_map_end(export->emitter);
    emitter_map_end(export->emitter);
    if (!emitter_end(export->emitter) || buffer_failed(&export->out)) {
        (void) failed(export);
    } else {
        cut(export);
    }
    emitter_destroy(export->emitter);
    export->emitter = NULL;
}

/* --------------------------------------------------------------- a record */

/* A fresh scratch for the next record: what rules allocate for it goes with it. */
static struct model *begin_record(struct export *export, enum record_kind kind, struct slice key)
{
    struct model *model = call_model(export->call);

    model->arena = call_scratch(export->call);
    export->write.arena = model->arena;
    export->kind = kind;
    export->name = record_name(model->arena, key);
    return model;
}

static void write_entry(struct export *export, const char *name, const ProtobufCMessage *record)
{
    if (open_section(export)) {
        emitter_text(export->emitter, name);
        emitter_map(export->emitter);
        write_fields(&export->write, record);
        emitter_map_end(export->emitter);
    }
}

static void export_config(struct export *export)
{
    struct record_key key = record_key(RECORD_CONFIG, NULL, NULL);
    struct model *model = begin_record(export, RECORD_CONFIG, record_slice(&key));
    Mxadm__V1__Config *config = record_load(model, RECORD_CONFIG, &key);

    if (config != NULL && export->domain == NULL && open_section(export)) {
        write_fields(&export->write, &config->base);
    }
}

/* The private key, sealed. What may jump is done before the key is there to be lost. */
static void write_private_key(struct export *export, const Mxadm__V1__DkimSelector *selector)
{
    struct model *model = call_model(export->call);
    struct record_key record = record_key(RECORD_DKIM_SELECTOR, selector->domain, selector->name);
    const char *bound =
        config_secret_bound(model->arena, RECORD_DKIM_SELECTOR,
                            record_name(model->arena, record_slice(&record)), "private_key");
    struct key *key =
        dkim_unseal(model, call_vault(export->call), selector->domain, selector->name);
    const uint8_t *der;
    uint8_t *sealed;
    size_t len;

    if (key == NULL) {
        export->full = true; /* reported */
        return;
    }
    der = key_private_der(key, &len);
    sealed = passphrase_seal(export->passphrase, model->arena, bound, der, len, &len);
    key_destroy(key);
    if (sealed == NULL) {
        (void) failed(export);
        return;
    }
    emitter_text(export->emitter, FORMAT_PRIVATE_KEY);
    emitter_text(export->emitter, format_base64(model->arena, sealed, len));
}

static void write_selector(struct export *export, const Mxadm__V1__DkimSelector *selector)
{
    emitter_text(export->emitter, selector->name);
    emitter_map(export->emitter);
    write_fields(&export->write, &selector->base);
    if (export->passphrase != NULL) {
        write_private_key(export, selector);
    }
    emitter_map_end(export->emitter);
}

static void export_domain(struct export *export, struct slice key, struct slice packed)
{
    struct model *model = begin_record(export, RECORD_DOMAIN, key);
    Mxadm__V1__Domain *domain = record_unpack(model, RECORD_DOMAIN, packed);
    size_t count;
    Mxadm__V1__DkimSelector **selectors = dkim_all(model, domain->name, &count);

    if (!open_section(export)) {
        return;
    }
    emitter_text(export->emitter, domain->name);
    emitter_map(export->emitter);
    write_fields(&export->write, &domain->base);
    if (count > 0) {
        emitter_text(export->emitter, "dkim_selectors");
        emitter_map(export->emitter);
        for (size_t i = 0; i < count; i++) {
            write_selector(export, selectors[i]);
        }
        emitter_map_end(export->emitter);
    }
    emitter_map_end(export->emitter);
}

static bool has_address_there(struct export *export, const char *account)
{
    struct record_key range = record_domain_accounts(export->domain, account);

    return record_count(call_model(export->call), &range) > 0;
}

static void export_account(struct export *export, struct slice key, struct slice packed)
{
    struct model *model = begin_record(export, RECORD_ACCOUNT, key);
    bool scoped = call_principal(export->call)->role == ROLE_DOMAIN_ADMINISTRATOR;
    Mxadm__V1__Account *account = record_unpack(model, RECORD_ACCOUNT, packed);

    if (export->domain == NULL || has_address_there(export, account->name) ||
        (!scoped && strcmp(account->domain, export->domain) == 0)) {
        write_entry(export, account->name, &account->base);
    }
}

static void export_address(struct export *export, struct slice key, struct slice packed)
{
    struct model *model = begin_record(export, RECORD_ADDRESS, key);
    Mxadm__V1__Address *address = record_unpack(model, RECORD_ADDRESS, packed);

    if (!address_is_report(address->kind)) {
        write_entry(export, address->address, &address->base);
    }
}

static void export_tls_key(struct export *export, struct slice key, struct slice packed)
{
    struct model *model = begin_record(export, RECORD_TLS_PUBLIC_KEY, key);
    Mxadm__V1__TlsPublicKey *record = record_unpack(model, RECORD_TLS_PUBLIC_KEY, packed);

    write_entry(export, record->fingerprint, &record->base);
}

/* ---------------------------------------------------------------- walking */

typedef void (*export_fn)(struct export *export, struct slice key, struct slice packed);

static void walk(struct export *export, const struct record_key *range, export_fn each)
{
    struct store_cursor cursor;
    struct store_entry entry;

    store_cursor_init(&cursor, call_model(export->call)->view, record_slice(range),
                      slice_of(export->after, export->after_len), export->after_len > 0);
    while (!export->full && store_cursor_next(&cursor, &entry)) {
        each(export, entry.key, entry.value);
        step(export, entry.key);
    }
}

/* The records of a kind, or those at the domain. */
static void walk_records(struct export *export, enum record_kind kind, export_fn each)
{
    struct record_key range =
        export->domain == NULL ? record_prefix(kind, NULL) : record_prefix(kind, export->domain);

    walk(export, &range, each);
}

static void export_domains(struct export *export)
{
    struct record_key key;
    struct slice packed;

    if (export->domain == NULL) {
        walk_records(export, RECORD_DOMAIN, export_domain);
        return;
    }
    key = record_key(RECORD_DOMAIN, export->domain, NULL);
    if (record_get(call_model(export->call), &key, &packed)) {
        export_domain(export, record_slice(&key), packed);
    }
}

static void export_accounts(struct export *export)
{
    struct record_key range = record_prefix(RECORD_ACCOUNT, NULL);

    walk(export, &range, export_account);
}

/* The domain's keys are found by their login addresses. */
static void export_login(struct export *export, struct slice key, struct slice nothing)
{
    struct model *model = begin_record(export, RECORD_TLS_PUBLIC_KEY, key);
    const char *parts[RECORD_PARTS_MAX];
    struct record_key record;
    struct slice packed;

    (void) nothing;
    record_key_parts(model->arena, key, parts);
    record = record_key(RECORD_TLS_PUBLIC_KEY, parts[2], NULL);
    if (record_get(model, &record, &packed)) {
        export_tls_key(export, record_slice(&record), packed);
    }
}

static void export_tls_keys(struct export *export)
{
    struct record_key range;

    if (export->domain == NULL) {
        walk_records(export, RECORD_TLS_PUBLIC_KEY, export_tls_key);
        return;
    }
    range = record_login_tls_keys(export->domain, NULL);
    walk(export, &range, export_login);
}

/* ----------------------------------------------------------------- aliases */

/* The members behind `after`; the alias's own key is behind them all when it is noted last. */
static void write_members(struct export *export, const struct record_key *range, struct slice after)
{
    struct store_cursor cursor;
    struct store_entry entry;

    store_cursor_init(&cursor, call_model(export->call)->view, record_slice(range), after,
                      after.len > 0);
    while (!export->full && store_cursor_next(&cursor, &entry)) {
        struct model *model = begin_record(export, RECORD_ALIAS_MEMBER, entry.key);
        Mxadm__V1__AliasMember *member = record_unpack(model, RECORD_ALIAS_MEMBER, entry.value);

        emitter_text(export->emitter, member->address);
        step(export, entry.key);
    }
}

/* An alias whose members from `after` on are to be written; those before, if any, and all else
 * stand in the part before. */
static void export_alias_from(struct export *export, const struct record_key *key,
                              struct slice packed, struct slice after)
{
    struct model *model = begin_record(export, RECORD_ALIAS, record_slice(key));
    Mxadm__V1__Alias *alias = record_unpack(model, RECORD_ALIAS, packed);
    const char *parts[RECORD_PARTS_MAX];
    struct record_key members;

    record_key_parts(model->arena, record_slice(key), parts);
    members = record_members(parts[0], parts[1]);
    if (!open_section(export)) {
        return;
    }
    emitter_text(export->emitter, alias->address);
    emitter_map(export->emitter);
    write_fields(&export->write, &alias->base);
    if (record_count(model, &members) > 0) {
        emitter_text(export->emitter, "members");
        emitter_list(export->emitter);
        write_members(export, &members, after);
        emitter_list_end(export->emitter);
    }
    emitter_map_end(export->emitter);
    if (!export->full) {
        step(export, record_slice(key));
    }
}

/* The alias that the part before left among its members. Whether there are more of them is not
 * known before they are looked for: if not, nothing of it is written. */
static void continue_alias(struct export *export)
{
    struct model *model =
        begin_record(export, RECORD_ALIAS_MEMBER, slice_of(export->after, export->after_len));
    uint8_t last[STORE_KEY_MAX];
    struct slice after = slice_of(last, export->after_len);
    const char *parts[RECORD_PARTS_MAX];
    struct store_cursor cursor;
    struct store_entry entry;
    struct record_key members;
    struct record_key key;
    struct slice packed;

    memcpy(last, export->after, export->after_len);
    record_key_parts(model->arena, after, parts);
    members = record_members(parts[0], parts[1]);
    key = record_key(RECORD_ALIAS, parts[0], parts[1]);
    store_cursor_init(&cursor, model->view, record_slice(&members), after, true);
    if (store_cursor_next(&cursor, &entry) && record_get(model, &key, &packed)) {
        export->cut_behind = "members";
        export_alias_from(export, &key, packed, after);
    } else {
        step(export, record_slice(&key));
    }
}

static void export_alias(struct export *export, struct slice key, struct slice packed)
{
    struct record_key copy;

    memcpy(copy.data, key.data, key.len);
    copy.len = key.len;
    export_alias_from(export, &copy, packed, slice_of(NULL, 0));
}

/* As walk(), but an alias notes itself how far it has come. */
static void export_aliases(struct export *export)
{
    struct record_key range = record_prefix(RECORD_ALIAS, export->domain);
    struct store_cursor cursor;
    struct store_entry entry;

    if (export->after_len > 0 &&
        record_kind_of(slice_of(export->after, export->after_len)) == RECORD_ALIAS_MEMBER) {
        continue_alias(export);
    }
    store_cursor_init(&cursor, call_model(export->call)->view, record_slice(&range),
                      slice_of(export->after, export->after_len), export->after_len > 0);
    while (!export->full && store_cursor_next(&cursor, &entry)) {
        export_alias(export, entry.key, entry.value);
    }
}

/* ---------------------------------------------------------------- the parts */

static void write_sealing(struct export *export)
{
    struct arena *arena = call_arena(export->call);
    struct emitter *emitter = export->emitter;

    emitter_text(emitter, "sealing");
    emitter_map(emitter);
    emitter_text(emitter, "kdf");
    emitter_text(emitter, "scrypt");
    emitter_word(emitter, "n");
    emitter_word(emitter, arena_printf(arena, "%llu", (unsigned long long) export->parameters.n));
    emitter_text(emitter, "r");
    emitter_word(emitter, arena_printf(arena, "%u", export->parameters.r));
    emitter_text(emitter, "p");
    emitter_word(emitter, arena_printf(arena, "%u", export->parameters.p));
    emitter_text(emitter, "salt");
    emitter_text(emitter, format_base64(arena, export->parameters.salt, PASSPHRASE_SALT_SIZE));
    emitter_text(emitter, "check");
    emitter_text(emitter, format_base64(arena, export->check, CHECK_SIZE));
    emitter_map_end(emitter);
}

/* The lines above the records. */
static void write_head(struct export *export)
{
    struct rpc_call *call = export->call;
    const char *comment = arena_printf(
        call_arena(call),
        "# mxadm configuration of %s, revision %llu.\n"
        "# Change it, and: mxadm config plan FILE; mxadm config apply FILE\n"
        "# A field that is absent has its default. With --prune, what is absent is removed.\n",
        call_settings(call)->host_name, (unsigned long long) call_revision(call));

    buffer_put(&export->out, comment, strlen(comment));
    export->emitter = emitter_create(&export->out);
    if (export->emitter == NULL) {
        (void) failed(export);
        return;
    }
    emitter_map(export->emitter);
    emitter_text(export->emitter, "format");
    emitter_text(export->emitter, FORMAT_NAME);
    emitter_text(export->emitter, "scope");
    if (export->domain == NULL) {
        emitter_text(export->emitter, "all");
    } else {
        emitter_list(export->emitter);
        emitter_text(export->emitter, export->domain);
        emitter_list_end(export->emitter);
    }
    if (export->passphrase != NULL) {
        write_sealing(export);
    }
    emitter_map_end(export->emitter);
    if (!emitter_end(export->emitter)) {
        (void) failed(export);
    }
    emitter_destroy(export->emitter);
    export->emitter = NULL;
}

static void write_section(struct export *export)
{
    switch (export->section) {
    case FORMAT_CONFIG:
        export_config(export);
        break;
    case FORMAT_DOMAINS:
        export_domains(export);
        break;
    case FORMAT_ACCOUNTS:
        export_accounts(export);
        break;
    case FORMAT_ADDRESSES:
        walk_records(export, RECORD_ADDRESS, export_address);
        break;
    case FORMAT_ALIASES:
        export_aliases(export);
        break;
    case FORMAT_TLS_PUBLIC_KEYS:
        export_tls_keys(export);
        break;
    case FORMAT_SECTIONS:
        break;
    }
    close_section(export);
}

/* Sections until the part is full. True: the document ends with this part. */
static bool write_part(struct export *export)
{
    while (export->section < FORMAT_SECTIONS) {
        write_section(export);
        if (export->full) {
            return false;
        }
        export->section++;
        export->begun = false;
        export->after_len = 0;
    }
    return true;
}

static bool begin_part(struct export *export, const Mxadm__V1__ConfigExportRequest *request)
{
    bool sealed = request->passphrase[0] != '\0';
    struct call_page page;

    if (sealed && !config_check_passphrase(export->call, request->passphrase)) {
        return false;
    }
    if (!call_page_begin(export->call, 0, request->page_token, &page)) {
        return false;
    }
    if (page.after.len == 0) {
        return !sealed || begin_sealing(export, request->passphrase);
    }
    return read_cursor(export, page.after, sealed) &&
           (!sealed || continue_sealing(export, request->passphrase));
}

static bool find_scope(struct export *export, const Mxadm__V1__ConfigExportRequest *request)
{
    struct rpc_call *call = export->call;
    struct model *model = call_model(call);
    struct name_domain domain;

    if (request->domain[0] == '\0') {
        if (call_principal(call)->role == ROLE_DOMAIN_ADMINISTRATOR) {
            (void) status_fail(call_status(call), MX_PERMISSION_DENIED, "ROLE_MISSING",
                               "%s may export own domains only, one at a time (domain)",
                               call_principal(call)->name);
            return false;
        }
        return true;
    }
    if (!field_domain(model, "domain", request->domain, &domain) ||
        !call_covers(call, domain.name)) {
        return false;
    }
    export->domain = domain.name;
    return true;
}

static struct export *export_create(struct rpc_call *call)
{
    struct export *export = calloc(1, sizeof(*export));

    if (export == NULL) {
        (void) status_fail(call_status(call), MX_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY",
                           "no memory for the document");
        return NULL;
    }
    export->call = call;
    export->parameters.n = PASSPHRASE_N;
    export->parameters.r = PASSPHRASE_R;
    export->parameters.p = PASSPHRASE_P;
    call_keep(call, export, export_destroy);
    return export;
}

void config_export(struct rpc_call *call)
{
    const Mxadm__V1__ConfigExportRequest *request = call_request(call);
    Mxadm__V1__ConfigExportResponse response = MXADM__V1__CONFIG_EXPORT_RESPONSE__INIT;
    struct export *export = export_create(call);
    bool ended;

    if (export == NULL || !find_scope(export, request) || !begin_part(export, request) ||
        (export->domain != NULL && domain_require(call_model(call), export->domain) == NULL)) {
        return;
    }
    if (request->page_token[0] == '\0') {
        write_head(export);
    }
    ended = write_part(export);
    if (!status_ok(call_status(call))) {
        return;
    }
    call_model(call)->arena = call_arena(call);
    call_answer_field(call, 1, slice_of(export->out.data, export->out.len));
    if (!ended) {
        response.next_page_token = (char *) cursor_token(export);
    }
    call_answer(call, &response.base);
}
