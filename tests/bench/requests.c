#include "bench/requests.h"

#include "bench/bench.h"
#include "bench/envelope.h"
#include "mxadm/v1/admin.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX    64
#define MESSAGE_MAX LOAD_REQUEST_MAX
/* Of one call in a batch. */
#define CALL_MAX 128

static uint64_t any_account(const struct requests *requests, uint64_t number)
{
    return (bench_scramble(number) >> 32) % requests->accounts;
}

static void name_account(char *text, uint64_t account)
{
    (void) snprintf(text, TEXT_MAX, "a%016" PRIx64, bench_scramble(account));
}

static size_t pack_domain_add(uint8_t *room)
{
    Mxadm__V1__DomainAddRequest request = MXADM__V1__DOMAIN_ADD_REQUEST__INIT;

    request.domain = (char *) BENCH_DOMAIN;
    request.account = (char *) "postmaster";
    request.localpart = (char *) "postmaster";
    return mxadm__v1__domain_add_request__pack(&request, room);
}

static size_t pack_account_add(uint64_t number, uint8_t *room)
{
    Mxadm__V1__AccountAddRequest request = MXADM__V1__ACCOUNT_ADD_REQUEST__INIT;
    char account[TEXT_MAX];
    char address[TEXT_MAX];

    name_account(account, number);
    (void) snprintf(address, sizeof(address), "a%016" PRIx64 "@" BENCH_DOMAIN,
                    bench_scramble(number));
    request.account = account;
    request.address = address;
    return mxadm__v1__account_add_request__pack(&request, room);
}

static size_t pack_batch(uint64_t number, uint8_t *room)
{
    static uint8_t messages[BENCH_BATCH][CALL_MAX];
    Mxadm__V1__BatchCall calls[BENCH_BATCH];
    Mxadm__V1__BatchCall *list[BENCH_BATCH];
    Mxadm__V1__BatchRequest request = MXADM__V1__BATCH_REQUEST__INIT;

    for (size_t i = 0; i < BENCH_BATCH; i++) {
        mxadm__v1__batch_call__init(&calls[i]);
        calls[i].method = (char *) "mxadm.v1.Admin/AccountAdd";
        calls[i].message.data = messages[i];
        calls[i].message.len = pack_account_add(number * BENCH_BATCH + i, messages[i]);
        list[i] = &calls[i];
    }
    request.calls = list;
    request.n_calls = BENCH_BATCH;
    request.atomic = true;
    bench_check(mxadm__v1__batch_request__get_packed_size(&request) <= MESSAGE_MAX,
                "a batch is too long");
    return mxadm__v1__batch_request__pack(&request, room);
}

static size_t pack_account_get(uint64_t account, uint8_t *room)
{
    Mxadm__V1__AccountGetRequest request = MXADM__V1__ACCOUNT_GET_REQUEST__INIT;
    char name[TEXT_MAX];

    name_account(name, account);
    request.account = name;
    return mxadm__v1__account_get_request__pack(&request, room);
}

static size_t pack_address(enum request_kind kind, uint64_t number, uint64_t account, uint8_t *room)
{
    Mxadm__V1__AddressAddRequest add = MXADM__V1__ADDRESS_ADD_REQUEST__INIT;
    Mxadm__V1__AddressRemoveRequest remove = MXADM__V1__ADDRESS_REMOVE_REQUEST__INIT;
    char address[TEXT_MAX];
    char name[TEXT_MAX];

    (void) snprintf(address, sizeof(address), "x%016" PRIx64 "@" BENCH_DOMAIN,
                    bench_scramble(number));
    if (kind == REQUEST_ADDRESS_REMOVE) {
        remove.address = address;
        return mxadm__v1__address_remove_request__pack(&remove, room);
    }
    name_account(name, account);
    add.address = address;
    add.account = name;
    return mxadm__v1__address_add_request__pack(&add, room);
}

/* ----------------------------------------------------------------- siblings */

/* Address `number` of an account, of all accounts different ones. */
static void name_address(char *text, const char *account, uint64_t number)
{
    (void) snprintf(text, TEXT_MAX, "%s%016" PRIx64 "@" BENCH_DOMAIN, account,
                    bench_scramble(number));
}

static size_t pack_owner(const struct requests *requests, uint8_t *room)
{
    Mxadm__V1__AccountAddRequest account = MXADM__V1__ACCOUNT_ADD_REQUEST__INIT;
    Mxadm__V1__DomainAddRequest domain = MXADM__V1__DOMAIN_ADD_REQUEST__INIT;
    char text[TEXT_MAX];

    if (requests->kind == REQUEST_OF_DOMAIN_ADD) {
        (void) snprintf(text, sizeof(text), "%s.example", requests->of);
        domain.domain = text;
        domain.account = (char *) "postmaster";
        return mxadm__v1__domain_add_request__pack(&domain, room);
    }
    name_address(text, requests->of, 0);
    account.account = (char *) requests->of;
    account.address = text;
    return mxadm__v1__account_add_request__pack(&account, room);
}

static size_t pack_sibling_address(const struct requests *requests, uint64_t number, uint8_t *room)
{
    Mxadm__V1__AddressAddRequest add = MXADM__V1__ADDRESS_ADD_REQUEST__INIT;
    Mxadm__V1__AddressRemoveRequest remove = MXADM__V1__ADDRESS_REMOVE_REQUEST__INIT;
    char address[TEXT_MAX];

    name_address(address, requests->of, number);
    if (requests->kind == REQUEST_OF_ADDRESS_REMOVE) {
        remove.address = address;
        return mxadm__v1__address_remove_request__pack(&remove, room);
    }
    add.address = address;
    add.account = (char *) requests->of;
    return mxadm__v1__address_add_request__pack(&add, room);
}

static size_t pack_alias(const struct requests *requests, uint64_t number, uint8_t *room)
{
    Mxadm__V1__AliasAddRequest add = MXADM__V1__ALIAS_ADD_REQUEST__INIT;
    Mxadm__V1__AliasRemoveRequest remove = MXADM__V1__ALIAS_REMOVE_REQUEST__INIT;
    bool of_all = requests->kind == REQUEST_OF_ALIAS_ADD;
    char address[TEXT_MAX];
    char member[TEXT_MAX];
    char *members[] = { member };

    if (of_all) {
        (void) snprintf(address, sizeof(address), "all-%s@" BENCH_DOMAIN, requests->of);
    } else {
        (void) snprintf(address, sizeof(address), "%c%016" PRIx64 "@%s.example",
                        number >= BENCH_CLOSE ? 'z' : 'l', bench_scramble(number), requests->of);
    }
    if (requests->kind == REQUEST_ALIAS_REMOVE) {
        remove.address = address;
        return mxadm__v1__alias_remove_request__pack(&remove, room);
    }
    name_address(member, of_all ? requests->of : "pool", 0);
    add.address = address;
    add.members = members;
    add.n_members = 1;
    return mxadm__v1__alias_add_request__pack(&add, room);
}

static size_t pack_members(const struct requests *requests, uint64_t number, uint8_t *room)
{
    Mxadm__V1__AliasAddressesAddRequest add = MXADM__V1__ALIAS_ADDRESSES_ADD_REQUEST__INIT;
    Mxadm__V1__AliasAddressesRemoveRequest remove = MXADM__V1__ALIAS_ADDRESSES_REMOVE_REQUEST__INIT;
    size_t count = requests->kind == REQUEST_MEMBERS_ADD ? BENCH_MEMBERS : 1;
    char names[BENCH_MEMBERS][TEXT_MAX];
    char *members[BENCH_MEMBERS];
    char address[TEXT_MAX];

    (void) snprintf(address, sizeof(address), "all-%s@" BENCH_DOMAIN, requests->of);
    for (size_t i = 0; i < count; i++) {
        /* The first address is a member since the alias was added. */
        name_address(names[i], count > 1 ? requests->of : "pool", number * count + i + 1);
        members[i] = names[i];
    }
    if (requests->kind == REQUEST_MEMBER_REMOVE) {
        remove.address = address;
        remove.members = members;
        remove.n_members = count;
        return mxadm__v1__alias_addresses_remove_request__pack(&remove, room);
    }
    add.address = address;
    add.members = members;
    add.n_members = count;
    return mxadm__v1__alias_addresses_add_request__pack(&add, room);
}

static size_t pack_message(const struct requests *requests, uint64_t number, uint8_t *room)
{
    switch (requests->kind) {
    case REQUEST_DOMAIN_ADD:
        return pack_domain_add(room);
    case REQUEST_ACCOUNT_ADD:
        return pack_account_add(number, room);
    case REQUEST_ACCOUNT_ADD_BATCH:
        return pack_batch(number, room);
    case REQUEST_ACCOUNT_GET:
        return pack_account_get(any_account(requests, number), room);
    case REQUEST_ADDRESS_ADD:
    case REQUEST_ADDRESS_REMOVE:
        return pack_address(requests->kind, number, any_account(requests, number), room);
    case REQUEST_OF_DOMAIN_ADD:
    case REQUEST_OF_ACCOUNT_ADD:
        return pack_owner(requests, room);
    case REQUEST_OF_ADDRESS_ADD:
    case REQUEST_OF_ADDRESS_REMOVE:
        return pack_sibling_address(requests, number, room);
    case REQUEST_OF_ALIAS_ADD:
    case REQUEST_ALIAS_ADD:
    case REQUEST_ALIAS_REMOVE:
        return pack_alias(requests, number, room);
    case REQUEST_MEMBERS_ADD:
    case REQUEST_MEMBER_ADD:
    case REQUEST_MEMBER_REMOVE:
        return pack_members(requests, number, room);
    }
    return 0;
}

size_t request_make(const struct load *load, uint64_t number, uint8_t *room)
{
    static const char *const methods[] = {
        [REQUEST_DOMAIN_ADD] = "mxadm.v1.Admin/DomainAdd",
        [REQUEST_ACCOUNT_ADD] = "mxadm.v1.Admin/AccountAdd",
        [REQUEST_ACCOUNT_ADD_BATCH] = "mxadm.v1.Admin/Batch",
        [REQUEST_ACCOUNT_GET] = "mxadm.v1.Admin/AccountGet",
        [REQUEST_ADDRESS_ADD] = "mxadm.v1.Admin/AddressAdd",
        [REQUEST_ADDRESS_REMOVE] = "mxadm.v1.Admin/AddressRemove",
        [REQUEST_OF_DOMAIN_ADD] = "mxadm.v1.Admin/DomainAdd",
        [REQUEST_OF_ACCOUNT_ADD] = "mxadm.v1.Admin/AccountAdd",
        [REQUEST_OF_ADDRESS_ADD] = "mxadm.v1.Admin/AddressAdd",
        [REQUEST_OF_ADDRESS_REMOVE] = "mxadm.v1.Admin/AddressRemove",
        [REQUEST_OF_ALIAS_ADD] = "mxadm.v1.Admin/AliasAdd",
        [REQUEST_MEMBERS_ADD] = "mxadm.v1.Admin/AliasAddressesAdd",
        [REQUEST_MEMBER_ADD] = "mxadm.v1.Admin/AliasAddressesAdd",
        [REQUEST_MEMBER_REMOVE] = "mxadm.v1.Admin/AliasAddressesRemove",
        [REQUEST_ALIAS_ADD] = "mxadm.v1.Admin/AliasAdd",
        [REQUEST_ALIAS_REMOVE] = "mxadm.v1.Admin/AliasRemove",
    };
    static uint8_t message[MESSAGE_MAX]; /* one thread */
    const struct requests *requests = load->context;
    struct envelope_id id = { number, requests->kind };

    if (requests->of != NULL) {
        id.kind ^= (uint64_t) requests->of[0] << 32;
    }
    return envelope_pack(methods[requests->kind], message, pack_message(requests, number, message),
                         requests->kind == REQUEST_ACCOUNT_GET ? NULL : &id, room);
}
