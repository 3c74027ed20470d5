/*
 * DKIM: DKIMAdd, DKIMRemove, DKIMSave, DKIMList, DKIMKeyMake, DKIMKeyExport.
 */
#include "model/dkim.h"
#include "handlers/handlers.h"
#include "handlers/list.h"
#include "model/dns.h"
#include "model/domain.h"
#include "model/fields.h"
#include "model/mask.h"

#include <string.h>

/* ----------------------------------------------------------------- DKIMAdd */

static unsigned dkim_add_keys(const void *request, enum key_kind *kind_out)
{
    *kind_out = dkim_request_kind(request);
    return 1;
}

static void dkim_add(struct rpc_call *call)
{
    const Mxadm__V1__DKIMAddRequest *request = call_request(call);
    Mxadm__V1__DKIMAddResponse response = MXADM__V1__DKIMADD_RESPONSE__INIT;
    struct model *model = call_model(call);
    Mxadm__V1__DkimSelector *selector;
    struct name_domain domain = { "", "" };
    const struct key *key;
    bool named = field_domain(model, "domain", request->domain, &domain);

    selector = dkim_from_request(model, &domain, request);
    if (!named || selector == NULL || !call_covers(call, domain.name) ||
        domain_require(model, domain.name) == NULL ||
        !dkim_check_free(model, domain.name, selector->name) ||
        !call_want_keys(call, (enum key_kind) selector->algorithm, 1)) {
        return;
    }
    key = call_take_key(call, (enum key_kind) selector->algorithm);
    call_answer_field(call, 1, dkim_put_new(model, call_vault(call), domain.ascii, selector, key));
    call_write_key_file(call, selector->key_file, key, selector->ascii_name, domain.ascii);
    if (key != NULL) {
        struct dns_selector published = { selector, dkim_record_text(model, selector) };

        response.record = dns_dkim_record(model->arena, domain.ascii, &published);
    }
    call_answer(call, &response.base);
}

/* -------------------------------------------------------------- DKIMRemove */

static uint32_t count_active(struct model *model, const char *domain)
{
    size_t count;
    Mxadm__V1__DkimSelector **all = dkim_all(model, domain, &count);
    uint32_t active = 0;

    for (size_t i = 0; i < count; i++) {
        active += all[i]->state == MXADM__V1__DKIM_SELECTOR__STATE__STATE_ACTIVE;
    }
    return active;
}

/* A selector as a request names it. */
struct selector_name {
    const char *domain_field;
    const char *domain;
    const char *selector_field;
    const char *selector;
};

/* NULL: reported. */
static Mxadm__V1__DkimSelector *find_named(struct rpc_call *call, const struct selector_name *name)
{
    struct model *model = call_model(call);
    struct name_domain domain;
    struct name_domain selector;
    bool named = field_domain(model, name->domain_field, name->domain, &domain);

    if (!field_selector(model, name->selector_field, name->selector, &selector) || !named ||
        !call_covers(call, domain.name) || domain_require(model, domain.name) == NULL) {
        return NULL;
    }
    return dkim_require(model, domain.name, selector.name);
}

static Mxadm__V1__DkimSelector *find_selector(struct rpc_call *call, const char *domain,
                                              const char *selector)
{
    struct selector_name name = { "domain", domain, "selector", selector };

    return find_named(call, &name);
}

static void dkim_remove_call(struct rpc_call *call)
{
    const Mxadm__V1__DKIMRemoveRequest *request = call_request(call);
    Mxadm__V1__DKIMRemoveResponse response = MXADM__V1__DKIMREMOVE_RESPONSE__INIT;
    struct model *model = call_model(call);
    Mxadm__V1__DkimSelector *selector = find_selector(call, request->domain, request->selector);

    if (selector == NULL) {
        return;
    }
    dkim_remove(model, selector);
    call_retire_key_file(call, selector->key_file);
    response.active = count_active(model, selector->domain);
    call_answer(call, &response.base);
}

/* ---------------------------------------------------------------- DKIMSave */

static void dkim_save_call(struct rpc_call *call)
{
    const Mxadm__V1__DKIMSaveRequest *request = call_request(call);
    struct model *model = call_model(call);
    struct selector_name name = { .domain_field = "dkim_selector.domain",
                                  .selector_field = "dkim_selector.name" };
    Mxadm__V1__DkimSelector *before;
    Mxadm__V1__DkimSelector *after;
    struct slice packed;

    if (request->dkim_selector == NULL) {
        status_field(model->status, "dkim_selector", "is required");
        return;
    }
    name.domain = request->dkim_selector->domain;
    name.selector = request->dkim_selector->name;
    before = find_named(call, &name);
    if (before == NULL) {
        return;
    }
    after = arena_memdup(model->arena, before, sizeof(*after));
    if (!mask_apply(model, request->update_mask, dkim_fixed, &request->dkim_selector->base,
                    &after->base)) {
        return;
    }
    packed = dkim_save(model, before, after, "dkim_selector");
    if (status_ok(model->status)) {
        call_answer_field(call, 1, packed);
    }
}

/* ---------------------------------------------------------------- DKIMList */

static void dkim_list(struct rpc_call *call)
{
    const Mxadm__V1__DKIMListRequest *request = call_request(call);
    Mxadm__V1__DKIMListResponse response = MXADM__V1__DKIMLIST_RESPONSE__INIT;
    struct list list = { .call = call, .number = 1 };
    struct model *model = call_model(call);
    struct name_domain domain;
    struct record_key range;
    struct call_page page;

    if (!field_domain(model, "domain", request->domain, &domain) ||
        !call_covers(call, domain.name) ||
        !call_page_begin(call, request->page_size, request->page_token, &page) ||
        domain_require(model, domain.name) == NULL) {
        return;
    }
    range = record_prefix(RECORD_DKIM_SELECTOR, domain.name);
    list.range = record_slice(&range);
    response.next_page_token = (char *) list_page(&list, &page);
    response.total = record_count(model, &range);
    call_answer(call, &response.base);
}

/* ---------------------------------------------- DKIMKeyMake, DKIMKeyExport */

/* The PEM goes through the arena, which is wiped after sending (rpc_row.secret). */
static char *pem_text(struct rpc_call *call, const struct key *key, const char *selector_ascii,
                      const char *domain_ascii)
{
    struct model *model = call_model(call);
    struct secret pem = { NULL, 0 };
    struct mx_error err;
    char *text;

    if (key_pem(key, selector_ascii, domain_ascii, model->now_us, &pem, &err) != MX_OK) {
        status_error(model->status, &err);
        return (char *) "";
    }
    text = arena_try_alloc(model->arena, pem.len + 1); /* must not jump past secret_free() */
    if (text == NULL) {
        status_fail(model->status, MX_RESOURCE_EXHAUSTED, "CALL_TOO_LARGE", "no memory for a key");
        text = (char *) "";
    } else {
        memcpy(text, pem.data, pem.len);
    }
    secret_free(&pem);
    return text;
}

static void public_part(struct rpc_call *call, const struct key *key, ProtobufCBinaryData *out)
{
    size_t len;
    const uint8_t *der = key_public_der(key, &len);
    uint8_t *copy = arena_try_alloc(call_arena(call), len);

    if (copy != NULL) {
        memcpy(copy, der, len);
        out->data = copy;
        out->len = len;
    }
}

static void dkim_key_make(struct rpc_call *call)
{
    const Mxadm__V1__DKIMKeyMakeRequest *request = call_request(call);
    Mxadm__V1__DKIMKeyMakeResponse response = MXADM__V1__DKIMKEY_MAKE_RESPONSE__INIT;
    struct model *model = call_model(call);
    struct name_domain domain = { "", NULL };
    struct name_domain selector = { "", NULL };
    enum key_kind kind = (enum key_kind) request->algorithm;
    const struct key *key;
    const char *record;

    if (request->domain[0] != '\0') {
        (void) field_domain(model, "domain", request->domain, &domain);
    }
    if (request->selector[0] != '\0') {
        (void) field_selector(model, "selector", request->selector, &selector);
    }
    if (request->algorithm == MXADM__V1__DKIM_SELECTOR__ALGORITHM__ALGORITHM_UNSPECIFIED) {
        kind = KEY_RSA2048;
    }
    if (!status_ok(model->status) || !call_want_keys(call, kind, 1)) {
        return;
    }
    key = call_take_key(call, kind);
    response.private_key = pem_text(call, key, domain.ascii == NULL ? NULL : selector.ascii,
                                    selector.ascii == NULL ? NULL : domain.ascii);
    public_part(call, key, &response.public_key);
    record = key_dkim_record(model->arena, kind, response.public_key.data, response.public_key.len,
                             false);
    response.record = (char *) (record == NULL ? "" : record);
    call_answer(call, &response.base);
}

static void dkim_key_export(struct rpc_call *call)
{
    const Mxadm__V1__DKIMKeyExportRequest *request = call_request(call);
    Mxadm__V1__DKIMKeyExportResponse response = MXADM__V1__DKIMKEY_EXPORT_RESPONSE__INIT;
    struct model *model = call_model(call);
    Mxadm__V1__DkimSelector *selector = find_selector(call, request->domain, request->selector);
    Mxadm__V1__Domain *domain = selector == NULL ? NULL : domain_find(model, selector->domain);
    struct key *key;

    if (domain == NULL) {
        return;
    }
    key = dkim_unseal(model, call_vault(call), selector->domain, selector->name);
    if (key == NULL) {
        return;
    }
    response.private_key = pem_text(call, key, selector->ascii_name, domain->ascii_name);
    public_part(call, key, &response.public_key);
    key_destroy(key);
    call_answer(call, &response.base);
}

const struct rpc_row dkim_rows[] = {
    { "DKIMAdd", dkim_add, RPC_CHANGE, ROLE_DOMAIN_ADMINISTRATOR, false, false, NULL,
      dkim_add_keys },
    { "DKIMRemove", dkim_remove_call, RPC_CHANGE, ROLE_DOMAIN_ADMINISTRATOR, false, false, NULL },
    { "DKIMSave", dkim_save_call, RPC_CHANGE, ROLE_DOMAIN_ADMINISTRATOR, false, false, NULL },
    { "DKIMList", dkim_list, RPC_READ, ROLE_VIEWER, false, false, NULL },
    { "DKIMKeyMake", dkim_key_make, RPC_READ, ROLE_VIEWER, true, true, NULL },
    { "DKIMKeyExport", dkim_key_export, RPC_READ, ROLE_VIEWER, true, true, NULL },
    { 0 },
};
