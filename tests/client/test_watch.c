/* A watch against a server that has the history that a test gives it. */
#include <mxadm/mxadm.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/fake_server.h"

#define EVENTS_MAX    200
#define EVENT_BYTES   128
#define REVISIONS_MAX 100

/* What takes this long has failed: far more than a loaded machine needs. */
#define PATIENCE_S 30

/* The history of the server, and how it answers. */
struct world {
    pthread_mutex_t lock; /* protects what follows */
    struct fake_server *server;
    uint64_t newest;
    uint64_t oldest;               /* that can be asked after */
    size_t records[REVISIONS_MAX]; /* how many a revision has; 0: the filter leaves it out */
    size_t page;                   /* changes in an answer */
    size_t part;                   /* records in an answer */
    bool is_denied;
    bool listing_fails; /* once */
};

struct fixture {
    char directory[64];
    char url[128];
    struct world world;
    mxadm_client *client;
    mxadm_watch *watch;

    pthread_mutex_t lock; /* protects the events */
    pthread_cond_t cond;
    char events[EVENTS_MAX][EVENT_BYTES];
    size_t event_count;
    size_t next; /* event to be expected */
};

/* ------------------------------------------------------------- the server */

static void refuse(Mxadm__V1__Response *response, mxadm_code code, const char *reason)
{
    response->status = (Mxadm__V1__Status *) fake_status(code, reason, 0)->status;
}

#define RECORDS_MAX 8

static size_t fill_change(const struct world *world, Mxadm__V1__Change *change,
                          Mxadm__V1__RecordChange **records, uint64_t revision, size_t offset)
{
    static Mxadm__V1__RecordChange some[RECORDS_MAX];
    size_t left = world->records[revision] - offset;
    size_t count = left < world->part ? left : world->part;
    mxadm__v1__change__init(change);
    change->revision = revision;
    change->record_count = world->records[revision];
    change->record_offset = offset;
    for (size_t i = 0; i < count; i++) {
        mxadm__v1__record_change__init(&some[i]);
        records[i] = &some[i];
    }
    change->records = records;
    change->n_records = count;
    return left - count;
}

/* As ChangeList is described in admin.proto. */
static void answer_changes(struct world *world, const Mxadm__V1__ChangeListRequest *request,
                           Mxadm__V1__Response *response)
{
    Mxadm__V1__ChangeListResponse answer = MXADM__V1__CHANGE_LIST_RESPONSE__INIT;
    Mxadm__V1__Change changes[REVISIONS_MAX];
    Mxadm__V1__Change *list[REVISIONS_MAX];
    Mxadm__V1__RecordChange *records[REVISIONS_MAX][RECORDS_MAX];
    if (request->after_revision > world->newest) {
        refuse(response, MXADM_OUT_OF_RANGE, "REVISION_UNKNOWN");
        return;
    }
    if (request->after_revision < world->oldest && request->after_revision > 0) {
        refuse(response, MXADM_OUT_OF_RANGE, "HISTORY_TRIMMED");
        return;
    }
    uint64_t revision =
        request->after_revision < world->oldest ? world->oldest : request->after_revision;
    size_t offset = request->record_offset;
    while (revision < world->newest && answer.n_changes < world->page) {
        uint64_t next = revision + 1;
        if (world->records[next] > 0) {
            Mxadm__V1__Change *change = &changes[answer.n_changes];
            list[answer.n_changes++] = change;
            if (fill_change(world, change, records[next], next, offset) > 0) {
                answer.record_offset = offset + change->n_records;
                break;
            }
        }
        offset = 0;
        revision = next;
    }
    answer.revision = revision;
    answer.changes = list;
    if (answer.n_changes == 0 && request->wait && revision == request->after_revision) {
        fake_server_hold(world->server);
        return;
    }
    fake_respond(response, &answer.base);
}

static void answer_list(struct world *world, const Mxadm__V1__Request *request,
                        Mxadm__V1__Response *response)
{
    Mxadm__V1__Domain domain = MXADM__V1__DOMAIN__INIT;
    Mxadm__V1__Domain *domains[] = { &domain };
    Mxadm__V1__Alias alias = MXADM__V1__ALIAS__INIT;
    Mxadm__V1__Alias *aliases[] = { &alias };
    Mxadm__V1__AliasMember member = MXADM__V1__ALIAS_MEMBER__INIT;
    Mxadm__V1__AliasMember *members[] = { &member };
    domain.name = (char *) "a.example";
    alias.canonical_address = (char *) "all@a.example";
    member.address = (char *) "one@a.example";
    if (strcmp(request->method, "mxadm.v1.Admin/DomainList") == 0) {
        Mxadm__V1__DomainListResponse answer = MXADM__V1__DOMAIN_LIST_RESPONSE__INIT;
        answer.domains = domains;
        answer.n_domains = 1;
        fake_respond(response, &answer.base);
    } else if (strcmp(request->method, "mxadm.v1.Admin/DKIMList") == 0) {
        refuse(response, MXADM_NOT_FOUND, "DOMAIN_NOT_FOUND"); /* removed meanwhile */
    } else if (strcmp(request->method, "mxadm.v1.Admin/AliasList") == 0) {
        Mxadm__V1__AliasListRequest *asked = mxadm__v1__alias_list_request__unpack(
            NULL, request->message.len, request->message.data);
        Mxadm__V1__AliasListResponse answer = MXADM__V1__ALIAS_LIST_RESPONSE__INIT;
        answer.aliases = aliases;
        answer.members = members;
        if (asked->members_of[0] != '\0') {
            answer.n_members = 1;
        } else if (asked->page_token[0] == '\0') {
            answer.n_aliases = 1;
            answer.next_page_token = (char *) "more"; /* of which there is nothing */
        }
        fake_respond(response, &answer.base);
        mxadm__v1__alias_list_request__free_unpacked(asked, NULL);
    } else if (strcmp(request->method, "mxadm.v1.Admin/AccountList") == 0 && world->listing_fails) {
        world->listing_fails = false;
        refuse(response, MXADM_UNAVAILABLE, "STOPPING");
    } else if (strcmp(request->method, "mxadm.v1.Admin/ConfigGet") == 0) {
        Mxadm__V1__ConfigGetResponse answer = MXADM__V1__CONFIG_GET_RESPONSE__INIT;
        Mxadm__V1__Config config = MXADM__V1__CONFIG__INIT;
        answer.config = &config;
        fake_respond(response, &answer.base);
    }
}

static void serve(void *data, const Mxadm__V1__Request *request, Mxadm__V1__Response *response)
{
    struct world *world = data;
    pthread_mutex_lock(&world->lock);
    response->revision = world->newest;
    if (world->is_denied) {
        refuse(response, MXADM_PERMISSION_DENIED, "ROLE_NEEDED");
    } else if (strcmp(request->method, "mxadm.v1.Admin/ChangeList") == 0) {
        Mxadm__V1__ChangeListRequest *changes = mxadm__v1__change_list_request__unpack(
            NULL, request->message.len, request->message.data);
        answer_changes(world, changes, response);
        mxadm__v1__change_list_request__free_unpacked(changes, NULL);
    } else {
        answer_list(world, request, response);
    }
    pthread_mutex_unlock(&world->lock);
}

static void start_server(struct fixture *fixture)
{
    fixture->world.server = fake_server_start(fixture->url);
    fake_server_handle(fixture->world.server, serve, &fixture->world);
}

/* Makes a revision of that many records, and wakes who waits for it. */
static void change(struct fixture *fixture, size_t records)
{
    struct world *world = &fixture->world;
    pthread_mutex_lock(&world->lock);
    world->records[++world->newest] = records;
    pthread_mutex_unlock(&world->lock);
    if (world->server != NULL) {
        fake_server_release(world->server);
    }
}

static void set_history(struct fixture *fixture, uint64_t oldest, uint64_t newest)
{
    struct world *world = &fixture->world;
    pthread_mutex_lock(&world->lock);
    world->oldest = oldest;
    world->newest = newest;
    for (uint64_t i = 1; i <= newest; i++) {
        world->records[i] = 1;
    }
    pthread_mutex_unlock(&world->lock);
}

/* -------------------------------------------------------------- the events */

static void describe(const mxadm_watch_event *event, char text[EVENT_BYTES])
{
    unsigned long revision = event->revision;
    switch (event->kind) {
    case MXADM_WATCH_CHANGE:
        snprintf(text, EVENT_BYTES, "change %lu, %lu+%zu of %lu%s", revision,
                 (unsigned long) event->change->record_offset, event->change->n_records,
                 (unsigned long) event->change->record_count, event->more ? ", more" : "");
        break;
    case MXADM_WATCH_RESET:
        snprintf(text, EVENT_BYTES, "reset");
        break;
    case MXADM_WATCH_RECORD:
        snprintf(text, EVENT_BYTES, "record %d of %lu", (int) event->record->record_case, revision);
        break;
    case MXADM_WATCH_CAUGHT_UP:
        snprintf(text, EVENT_BYTES, "caught up %lu", revision);
        break;
    case MXADM_WATCH_LOST:
        snprintf(text, EVENT_BYTES, "lost");
        assert_int_not_equal(mxadm_result_code(event->result), MXADM_OK);
        break;
    case MXADM_WATCH_RESUMED:
        snprintf(text, EVENT_BYTES, "resumed");
        break;
    case MXADM_WATCH_ENDED:
        snprintf(text, EVENT_BYTES, "ended %s", mxadm_code_name(mxadm_result_code(event->result)));
        break;
    }
}

static void record(const mxadm_watch_event *event, void *payload)
{
    struct fixture *fixture = payload;
    pthread_mutex_lock(&fixture->lock);
    if (fixture->event_count < EVENTS_MAX) {
        describe(event, fixture->events[fixture->event_count++]);
    }
    pthread_cond_signal(&fixture->cond);
    pthread_mutex_unlock(&fixture->lock);
}

/* The next event is this one. */
static void expect(struct fixture *fixture, const char *words)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&fixture->lock);
    int rv = 0;
    while (fixture->event_count == fixture->next && rv == 0) {
        rv = pthread_cond_timedwait(&fixture->cond, &fixture->lock, &until);
    }
    pthread_mutex_unlock(&fixture->lock);
    if (rv != 0) {
        fail_msg("'%s' did not come", words);
    }
    assert_string_equal(fixture->events[fixture->next], words);
    fixture->next++;
}

static void expect_no_more(struct fixture *fixture)
{
    mxadm_watch_close(fixture->watch);
    fixture->watch = NULL;
    assert_int_equal(fixture->event_count, fixture->next);
}

static void begin(struct fixture *fixture, mxadm_watch_options options)
{
    assert_int_equal(mxadm_watch_open(fixture->client, &options, record, fixture, &fixture->watch),
                     MXADM_OK);
}

static mxadm_watch_options defaults(void)
{
    mxadm_watch_options options = MXADM_WATCH_OPTIONS_INIT;
    return options;
}

static mxadm_watch_options after(uint64_t revision)
{
    mxadm_watch_options options = defaults();
    options.after_revision = revision;
    return options;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    strcpy(fixture->directory, "/tmp/mxadm-watch-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    snprintf(fixture->url, sizeof(fixture->url), "ipc://%s/one", fixture->directory);
    pthread_mutex_init(&fixture->lock, NULL);
    pthread_mutex_init(&fixture->world.lock, NULL);
    pthread_cond_init(&fixture->cond, NULL);
    fixture->world.page = 3;
    fixture->world.part = 4;
    start_server(fixture);
    mxadm_client_options options = MXADM_CLIENT_OPTIONS_INIT;
    const char *const urls[] = { fixture->url };
    options.urls = urls;
    options.url_count = 1;
    options.connections = 1;
    options.backoff_initial_ms = 1;
    options.backoff_max_ms = 20;
    assert_int_equal(mxadm_client_open(&options, &fixture->client), MXADM_OK);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    mxadm_watch_close(fixture->watch);
    mxadm_client_close(fixture->client);
    fake_server_stop(fixture->world.server);
    unlink(fixture->url + strlen("ipc://"));
    assert_int_equal(rmdir(fixture->directory), 0);
    free(fixture);
    return 0;
}

/* The ChangeList request at `index` of all requests; free it. */
static Mxadm__V1__ChangeListRequest *request_at(struct fixture *fixture, size_t index)
{
    const Mxadm__V1__Request *request = fake_server_request(fixture->world.server, index);
    assert_string_equal(request->method, "mxadm.v1.Admin/ChangeList");
    Mxadm__V1__ChangeListRequest *changes =
        mxadm__v1__change_list_request__unpack(NULL, request->message.len, request->message.data);
    assert_non_null(changes);
    return changes;
}

/* ------------------------------------------------------------------- tests */

static void each_revision_comes_once_in_order(void **state)
{
    struct fixture *fixture = *state;
    set_history(fixture, 0, 7);
    begin(fixture, defaults());
    for (int i = 1; i <= 7; i++) {
        char words[EVENT_BYTES];
        snprintf(words, sizeof(words), "change %d, 0+1 of 1", i);
        expect(fixture, words);
    }
    expect(fixture, "caught up 7");
    change(fixture, 2);
    expect(fixture, "change 8, 0+2 of 2");
    change(fixture, 3);
    expect(fixture, "change 9, 0+3 of 3");
    expect_no_more(fixture); /* being up to date is told once */
}

static void it_begins_after_the_revision_given(void **state)
{
    struct fixture *fixture = *state;
    set_history(fixture, 2, 5);
    begin(fixture, after(4));
    expect(fixture, "change 5, 0+1 of 1");
    expect(fixture, "caught up 5");
    expect_no_more(fixture);
}

static void without_a_revision_it_begins_with_the_oldest_kept(void **state)
{
    struct fixture *fixture = *state;
    set_history(fixture, 3, 4);
    begin(fixture, defaults());
    expect(fixture, "change 4, 0+1 of 1");
    expect(fixture, "caught up 4");
    expect_no_more(fixture);
}

static void it_can_begin_now(void **state)
{
    struct fixture *fixture = *state;
    set_history(fixture, 0, 5);
    mxadm_watch_options options = defaults();
    options.from_now = 1;
    begin(fixture, options);
    expect(fixture, "caught up 5");
    change(fixture, 1);
    expect(fixture, "change 6, 0+1 of 1");
    expect_no_more(fixture);
}

static void the_filter_reaches_the_server_and_what_it_leaves_out_is_passed(void **state)
{
    struct fixture *fixture = *state;
    set_history(fixture, 0, 1);
    mxadm_watch_options options = after(1);
    options.domain = "a.example";
    options.account = "alice";
    begin(fixture, options);
    expect(fixture, "caught up 1");
    fake_server_await(fixture->world.server, 2);
    change(fixture, 0); /* of something else: the poll is answered with how far it speaks */
    fake_server_await(fixture->world.server, 3);
    change(fixture, 1);
    expect(fixture, "change 3, 0+1 of 1");
    for (size_t i = 0; i < 3; i++) {
        Mxadm__V1__ChangeListRequest *request = request_at(fixture, i);
        assert_string_equal(request->domain, "a.example");
        assert_string_equal(request->account, "alice");
        assert_int_equal(request->wait, i > 0);
        assert_int_equal(request->after_revision, i < 2 ? 1 : 2);
        mxadm__v1__change_list_request__free_unpacked(request, NULL);
    }
    expect_no_more(fixture);
}

static void a_lost_connection_is_told_and_nothing_is_missed_or_repeated(void **state)
{
    struct fixture *fixture = *state;
    set_history(fixture, 0, 2);
    struct fake_step steps[] = { { .kind = FAKE_HANDLE }, { .kind = FAKE_DROP } };
    fake_server_script(fixture->world.server, steps, 2);
    begin(fixture, defaults());
    expect(fixture, "change 1, 0+1 of 1");
    expect(fixture, "change 2, 0+1 of 1");
    expect(fixture, "caught up 2");
    expect(fixture, "lost");
    expect(fixture, "resumed");
    expect(fixture, "caught up 2");
    change(fixture, 1);
    expect(fixture, "change 3, 0+1 of 1");
    expect_no_more(fixture);
}

static void a_restart_is_survived(void **state)
{
    struct fixture *fixture = *state;
    set_history(fixture, 0, 1);
    begin(fixture, defaults());
    expect(fixture, "change 1, 0+1 of 1");
    expect(fixture, "caught up 1");
    fake_server_await(fixture->world.server, 2); /* it waits for the next */
    fake_server_stop(fixture->world.server);
    fixture->world.server = NULL;
    expect(fixture, "lost");
    change(fixture, 1);
    start_server(fixture);
    expect(fixture, "resumed");
    expect(fixture, "change 2, 0+1 of 1");
    expect(fixture, "caught up 2");
    expect_no_more(fixture);
}

static void it_waits_for_a_server_that_is_not_there(void **state)
{
    struct fixture *fixture = *state;
    fake_server_stop(fixture->world.server);
    fixture->world.server = NULL;
    begin(fixture, defaults());
    expect(fixture, "lost");
    change(fixture, 1);
    start_server(fixture);
    expect(fixture, "resumed");
    expect(fixture, "change 1, 0+1 of 1");
    expect(fixture, "caught up 1");
    expect_no_more(fixture);
}

static void a_large_change_comes_in_parts_and_goes_on_after_a_loss(void **state)
{
    struct fixture *fixture = *state;
    set_history(fixture, 0, 1);
    change(fixture, 10);
    change(fixture, 1);
    struct fake_step steps[] = { { .kind = FAKE_HANDLE }, { .kind = FAKE_DROP } };
    fake_server_script(fixture->world.server, steps, 2);
    begin(fixture, defaults());
    expect(fixture, "change 1, 0+1 of 1");
    expect(fixture, "change 2, 0+4 of 10, more");
    expect(fixture, "lost");
    expect(fixture, "resumed");
    expect(fixture, "change 2, 4+4 of 10, more");
    expect(fixture, "change 2, 8+2 of 10");
    expect(fixture, "change 3, 0+1 of 1");
    expect(fixture, "caught up 3");
    expect_no_more(fixture);
}

static void expect_listing(struct fixture *fixture, uint64_t revision)
{
    const int kinds[] = { MXADM__V1__RECORD__RECORD_DOMAIN, MXADM__V1__RECORD__RECORD_ALIAS,
                          MXADM__V1__RECORD__RECORD_ALIAS_MEMBER,
                          MXADM__V1__RECORD__RECORD_CONFIG };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        char words[EVENT_BYTES];
        snprintf(words, sizeof(words), "record %d of %lu", kinds[i], (unsigned long) revision);
        expect(fixture, words);
    }
}

static void trimmed_history_is_replaced_by_a_listing(void **state)
{
    struct fixture *fixture = *state;
    set_history(fixture, 4, 6);
    begin(fixture, after(2));
    expect(fixture, "reset");
    expect_listing(fixture, 6);
    expect(fixture, "caught up 6");
    change(fixture, 1);
    expect(fixture, "change 7, 0+1 of 1");
    expect_no_more(fixture);
}

static void an_older_server_is_listed_anew(void **state)
{
    struct fixture *fixture = *state;
    set_history(fixture, 0, 6);
    begin(fixture, after(6));
    expect(fixture, "caught up 6");
    fake_server_await(fixture->world.server, 2);
    fake_server_stop(fixture->world.server);
    set_history(fixture, 0, 3); /* a backup was restored */
    start_server(fixture);
    expect(fixture, "lost");
    expect(fixture, "resumed");
    expect(fixture, "reset");
    expect_listing(fixture, 3);
    expect(fixture, "caught up 3");
    expect_no_more(fixture);
}

static void a_listing_that_fails_begins_anew(void **state)
{
    struct fixture *fixture = *state;
    set_history(fixture, 0, 6);
    fixture->world.listing_fails = true;
    mxadm_watch_options options = defaults();
    options.snapshot = 1;
    begin(fixture, options);
    expect(fixture, "reset");
    expect(fixture, "record 1 of 6");
    expect(fixture, "lost");
    expect(fixture, "resumed");
    expect(fixture, "reset");
    expect_listing(fixture, 6);
    expect(fixture, "caught up 6");
    expect_no_more(fixture);
}

static void what_trying_again_does_not_mend_ends_the_watch(void **state)
{
    struct fixture *fixture = *state;
    fixture->world.is_denied = true;
    begin(fixture, defaults());
    expect(fixture, "ended PERMISSION_DENIED");
    expect_no_more(fixture);
    assert_int_equal(fake_server_count(fixture->world.server), 1);
}

static void a_server_that_can_not_answer_now_is_asked_again(void **state)
{
    struct fixture *fixture = *state;
    set_history(fixture, 0, 1);
    const mxadm_code codes[] = { MXADM_UNAVAILABLE, MXADM_RESOURCE_EXHAUSTED, MXADM_INTERNAL };
    for (size_t i = 0; i < 3; i++) {
        struct fake_step step = { .kind = FAKE_RESPONSE,
                                  .response = fake_status(codes[i], "SCRIPTED", 1) };
        fake_server_script(fixture->world.server, &step, 1);
    }
    begin(fixture, defaults());
    expect(fixture, "lost"); /* once */
    expect(fixture, "resumed");
    expect(fixture, "change 1, 0+1 of 1");
    expect(fixture, "caught up 1");
    expect_no_more(fixture);
}

static void the_client_stays_free_and_may_be_closed_first(void **state)
{
    struct fixture *fixture = *state; /* its client has one connection */
    set_history(fixture, 0, 1);
    begin(fixture, defaults());
    expect(fixture, "change 1, 0+1 of 1");
    expect(fixture, "caught up 1");
    fake_server_await(fixture->world.server, 2); /* the poll waits */
    Mxadm__V1__ServerInfoRequest request = MXADM__V1__SERVER_INFO_REQUEST__INIT;
    assert_int_equal(mxadm_call(fixture->client, "ServerInfo", &request.base, NULL, NULL),
                     MXADM_OK);
    mxadm_client_close(fixture->client);
    fixture->client = NULL;
    change(fixture, 1);
    expect(fixture, "change 2, 0+1 of 1");
    expect_no_more(fixture);
}

/* A callback that waits until it is told to return, and has called meanwhile. */
struct slow {
    struct fixture *fixture;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool runs;
    bool may_return;
    bool returned;
    bool closed;
    bool closed_too_early;
};

static void be_slow(const mxadm_watch_event *event, void *payload)
{
    struct slow *slow = payload;
    if (event->kind != MXADM_WATCH_CHANGE) {
        return;
    }
    Mxadm__V1__ServerInfoRequest request = MXADM__V1__SERVER_INFO_REQUEST__INIT;
    assert_int_equal(mxadm_call(slow->fixture->client, "ServerInfo", &request.base, NULL, NULL),
                     MXADM_OK);
    pthread_mutex_lock(&slow->lock);
    slow->runs = true;
    pthread_cond_broadcast(&slow->cond);
    while (!slow->may_return) {
        pthread_cond_wait(&slow->cond, &slow->lock);
    }
    slow->closed_too_early = slow->closed;
    slow->returned = true;
    pthread_mutex_unlock(&slow->lock);
}

static void *close_watch(void *arg)
{
    struct slow *slow = arg;
    mxadm_watch_close(slow->fixture->watch);
    pthread_mutex_lock(&slow->lock);
    slow->closed = true;
    pthread_mutex_unlock(&slow->lock);
    return NULL;
}

static void closing_waits_for_the_callback_which_may_call(void **state)
{
    struct fixture *fixture = *state;
    set_history(fixture, 0, 3);
    struct slow slow = { .fixture = fixture,
                         .lock = PTHREAD_MUTEX_INITIALIZER,
                         .cond = PTHREAD_COND_INITIALIZER };
    assert_int_equal(mxadm_watch_open(fixture->client, NULL, be_slow, &slow, &fixture->watch),
                     MXADM_OK);
    pthread_mutex_lock(&slow.lock);
    while (!slow.runs) {
        pthread_cond_wait(&slow.cond, &slow.lock);
    }
    pthread_t closer;
    assert_int_equal(pthread_create(&closer, NULL, close_watch, &slow), 0);
    slow.may_return = true;
    pthread_cond_broadcast(&slow.cond);
    pthread_mutex_unlock(&slow.lock);
    pthread_join(closer, NULL);
    assert_true(slow.returned);
    assert_false(slow.closed_too_early);
    fixture->watch = NULL;
}

static void options_that_can_not_be_are_refused(void **state)
{
    struct fixture *fixture = *state;
    mxadm_watch_options both = after(1);
    both.snapshot = 1;
    mxadm_watch_options now = after(1);
    now.from_now = 1;
    mxadm_watch_options none = { .size = 0 };
    mxadm_watch_options given[] = { both, now, none };
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(
            mxadm_watch_open(fixture->client, &given[i], record, fixture, &fixture->watch),
            MXADM_INVALID_ARGUMENT);
    }
    assert_int_equal(mxadm_watch_open(fixture->client, NULL, NULL, NULL, &fixture->watch),
                     MXADM_INVALID_ARGUMENT);
    mxadm_watch_close(NULL);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_revision_comes_once_in_order),
        TEST(it_begins_after_the_revision_given),
        TEST(without_a_revision_it_begins_with_the_oldest_kept),
        TEST(it_can_begin_now),
        TEST(the_filter_reaches_the_server_and_what_it_leaves_out_is_passed),
        TEST(a_lost_connection_is_told_and_nothing_is_missed_or_repeated),
        TEST(a_restart_is_survived),
        TEST(it_waits_for_a_server_that_is_not_there),
        TEST(a_large_change_comes_in_parts_and_goes_on_after_a_loss),
        TEST(trimmed_history_is_replaced_by_a_listing),
        TEST(an_older_server_is_listed_anew),
        TEST(a_listing_that_fails_begins_anew),
        TEST(what_trying_again_does_not_mend_ends_the_watch),
        TEST(a_server_that_can_not_answer_now_is_asked_again),
        TEST(the_client_stays_free_and_may_be_closed_first),
        TEST(closing_waits_for_the_callback_which_may_call),
        TEST(options_that_can_not_be_are_refused),
    };
    return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
