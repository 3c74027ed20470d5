#include "net/connections.h"

#include <stdlib.h>

static struct connection **bucket(struct connections *table, uint32_t pipe)
{
    /* nng counts its ids up from a random start: their low bits spread well. */
    return &table->buckets[pipe & table->bucket_mask];
}

static uint32_t power_of_two_above(uint32_t number)
{
    uint32_t power = 1;

    while (power < number && power < (UINT32_C(1) << 31)) {
        power *= 2;
    }
    return power;
}

bool connections_init(struct connections *table, unsigned limit)
{
    uint32_t bucket_count = power_of_two_above(limit);

    *table = (struct connections){ .bucket_mask = bucket_count - 1, .limit = limit };
    table->slots = calloc(limit, sizeof(*table->slots));
    table->buckets = calloc(bucket_count, sizeof(struct connection *));
    if (table->slots == NULL || table->buckets == NULL) {
        connections_fini(table);
        return false;
    }
    for (unsigned i = 0; i < limit; i++) {
        table->slots[i].next = table->unused;
        table->unused = &table->slots[i];
    }
    return true;
}

void connections_fini(struct connections *table)
{
    free(table->slots);
    free(table->buckets);
    *table = (struct connections){ 0 };
}

struct connection *connections_add(struct connections *table, uint32_t pipe,
                                   const struct rpc_peer *peer, int64_t now_ms)
{
    struct connection **head = bucket(table, pipe);
    struct connection *connection = table->unused;

    if (connection == NULL) {
        return NULL;
    }
    table->unused = connection->next;
    *connection = (struct connection){
        .pipe = pipe,
        .peer = *peer,
        .last_call_ms = now_ms,
        .number = ++table->admitted,
        .next = *head,
    };
    *head = connection;
    table->count++;
    return connection;
}

struct connection *connections_find(struct connections *table, uint32_t pipe)
{
    struct connection *connection = *bucket(table, pipe);

    while (connection != NULL && connection->pipe != pipe) {
        connection = connection->next;
    }
    return connection;
}

void connections_remove(struct connections *table, uint32_t pipe)
{
    struct connection **link = bucket(table, pipe);

    while (*link != NULL && (*link)->pipe != pipe) {
        link = &(*link)->next;
    }
    struct connection *connection = *link;

    if (connection == NULL) {
        return;
    }
    *link = connection->next;
    connection->pipe = 0;
    connection->next = table->unused;
    table->unused = connection;
    table->count--;
}

static bool has_nothing_in_work(const struct connection *connection)
{
    /* No pipe of nng has the id 0: a slot with it is unused. */
    return connection->pipe != 0 && !connection->closing && connection->in_flight == 0;
}

static bool is_idle(const struct connection *connection, int64_t before_ms)
{
    return has_nothing_in_work(connection) && connection->last_call_ms < before_ms;
}

static bool goes_before(const struct connection *a, const struct connection *b)
{
    if (a->has_called != b->has_called) {
        return !a->has_called;
    }
    return a->has_called ? a->last_call_ms < b->last_call_ms : a->number < b->number;
}

uint32_t connections_make_room(struct connections *table, int64_t before_ms)
{
    const struct connection *spared = NULL;
    uint32_t pipe;

    for (unsigned i = 0; i < table->limit; i++) {
        const struct connection *connection = &table->slots[i];
        bool may_go = connection->has_called ? is_idle(connection, before_ms)
                                             : has_nothing_in_work(connection);

        if (may_go && (spared == NULL || goes_before(connection, spared))) {
            spared = connection;
        }
    }
    if (spared == NULL) {
        return 0;
    }
    pipe = spared->pipe;
    connections_remove(table, pipe);
    return pipe;
}

size_t connections_take_idle(struct connections *table, int64_t before_ms, uint32_t *pipes,
                             size_t max)
{
    size_t count = 0;

    for (unsigned i = 0; i < table->limit && count < max; i++) {
        struct connection *connection = &table->slots[i];

        if (is_idle(connection, before_ms)) {
            connection->closing = true;
            pipes[count++] = connection->pipe;
        }
    }
    return count;
}
