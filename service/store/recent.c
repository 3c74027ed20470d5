#include "store/recent.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_FIRST 1024

struct recent {
    size_t bytes_max;
    pthread_mutex_t lock;
    /* Protected by lock, as all below. A ring: `count` changes from `first` on. */
    struct recent_change **slots;
    size_t slot_count; /* a power of two */
    size_t first;
    size_t count;
    size_t bytes;
};

struct recent_change *recent_change_create(uint64_t revision, const uint8_t *bytes, size_t len)
{
    struct recent_change *change = malloc(sizeof(*change) + len);

    if (change == NULL) {
        return NULL;
    }
    atomic_init(&change->pins, 1);
    change->revision = revision;
    change->next = NULL;
    change->len = len;
    memcpy(change->bytes, bytes, len);
    return change;
}

void recent_change_release(struct recent_change *change)
{
    if (change != NULL && atomic_fetch_sub_explicit(&change->pins, 1, memory_order_acq_rel) == 1) {
        free(change);
    }
}

static size_t size_of(const struct recent_change *change)
{
    return sizeof(*change) + change->len;
}

struct recent *recent_create(size_t bytes_max)
{
    struct recent *recent = calloc(1, sizeof(*recent));

    if (recent == NULL) {
        return NULL;
    }
    recent->bytes_max = bytes_max;
    recent->slot_count = SLOTS_FIRST;
    recent->slots = calloc(recent->slot_count, sizeof(struct recent_change *));
    if (recent->slots == NULL || pthread_mutex_init(&recent->lock, NULL) != 0) {
        free(recent->slots);
        free(recent);
        return NULL;
    }
    return recent;
}

/* The `index`th from the oldest. */
static struct recent_change **slot(const struct recent *recent, size_t index)
{
    return &recent->slots[(recent->first + index) & (recent->slot_count - 1)];
}

/* With the lock, as the following. */
static void drop_oldest(struct recent *recent)
{
    struct recent_change *oldest = *slot(recent, 0);

    recent->first = (recent->first + 1) & (recent->slot_count - 1);
    recent->count--;
    recent->bytes -= size_of(oldest);
    recent_change_release(oldest);
}

static void drop_all(struct recent *recent)
{
    while (recent->count > 0) {
        drop_oldest(recent);
    }
}

static bool grow(struct recent *recent)
{
    size_t slot_count = recent->slot_count < SLOTS_FIRST ? SLOTS_FIRST : recent->slot_count * 2;
    struct recent_change **slots = calloc(slot_count, sizeof(struct recent_change *));

    if (slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < recent->count; i++) {
        slots[i] = *slot(recent, i);
    }
    free(recent->slots);
    recent->slots = slots;
    recent->slot_count = slot_count;
    recent->first = 0;
    return true;
}

static bool follows(const struct recent *recent, const struct recent_change *change)
{
    return recent->count == 0 ||
           (*slot(recent, recent->count - 1))->revision + 1 == change->revision;
}

static void append(struct recent *recent, struct recent_change *change)
{
    if (!follows(recent, change)) {
        drop_all(recent);
    }
    while (recent->count > 0 && recent->bytes + size_of(change) > recent->bytes_max) {
        drop_oldest(recent);
    }
    if (recent->count == recent->slot_count && !grow(recent)) {
        drop_oldest(recent);
    }
    *slot(recent, recent->count) = change;
    recent->count++;
    recent->bytes += size_of(change);
}

void recent_append(struct recent *recent, struct recent_change *change)
{
    (void) pthread_mutex_lock(&recent->lock);
    if (change == NULL) {
        drop_all(recent);
    } else {
        append(recent, change);
    }
    (void) pthread_mutex_unlock(&recent->lock);
}

void recent_clear(struct recent *recent)
{
    recent_append(recent, NULL);
}

void recent_trim(struct recent *recent, uint64_t revision)
{
    (void) pthread_mutex_lock(&recent->lock);
    while (recent->count > 0 && (*slot(recent, 0))->revision <= revision) {
        drop_oldest(recent);
    }
    (void) pthread_mutex_unlock(&recent->lock);
}

/* Where the change after `revision` is; `count` if it is not here. */
static size_t find(const struct recent *recent, uint64_t revision)
{
    uint64_t oldest;

    if (recent->count == 0) {
        return 0;
    }
    oldest = (*slot(recent, 0))->revision;
    if (revision + 1 < oldest || revision + 1 - oldest >= recent->count) {
        return recent->count;
    }
    return (size_t) (revision + 1 - oldest);
}

size_t recent_take(struct recent *recent, uint64_t revision, uint64_t newest,
                   struct recent_change **changes_out, size_t max)
{
    size_t taken = 0;

    (void) pthread_mutex_lock(&recent->lock);
    for (size_t i = find(recent, revision); i < recent->count && taken < max; i++) {
        struct recent_change *change = *slot(recent, i);

        if (change->revision > newest) {
            break;
        }
        atomic_fetch_add_explicit(&change->pins, 1, memory_order_relaxed);
        changes_out[taken++] = change;
    }
    (void) pthread_mutex_unlock(&recent->lock);
    return taken;
}

size_t recent_bytes(struct recent *recent)
{
    size_t bytes;

    (void) pthread_mutex_lock(&recent->lock);
    bytes = recent->bytes;
    (void) pthread_mutex_unlock(&recent->lock);
    return bytes;
}

void recent_destroy(struct recent *recent)
{
    if (recent == NULL) {
        return;
    }
    drop_all(recent);
    (void) pthread_mutex_destroy(&recent->lock);
    free(recent->slots);
    free(recent);
}
