/*
 * Runs a fuzz target without a fuzzer: every file of the corpus directories
 * given, and for each some rounds of changes to it, the same on every run with
 * the same seed. So that the corpora are ordinary tests under any compiler. A
 * target that finds something ends the process (abort, a sanitizer); the file,
 * the seed and the round were printed before.
 *
 *     fuzz_names ROUNDS SEED DIRECTORY...
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file of a corpus is small; larger ones belong into tests of their own. */
#define INPUT_MAX ((size_t) 1024 * 1024)

/* Bytes that a change may add to a file. */
#define GROWTH_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    uint8_t *data;
    size_t size;
};

static uint64_t random_state;

/* xorshift64*: enough to choose places and bytes. */
static uint64_t random_next(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * UINT64_C(2685821657736338717);
}

/* Below `bound`; 0 for 0. */
static size_t random_below(size_t bound)
{
    return bound == 0 ? 0 : (size_t) (random_next() % bound);
}

static _Noreturn void die(const char *what, const char *name)
{
    fprintf(stderr, "%s: ", name);
    perror(what);
    exit(2);
}

static void read_input(const char *path, struct input *input)
{
    FILE *file = fopen(path, "rb");

    if (file == NULL) {
        die("open", path);
    }
    input->data = malloc(INPUT_MAX);
    if (input->data == NULL) {
        die("malloc", path);
    }
    input->size = fread(input->data, 1, INPUT_MAX, file);
    if (ferror(file)) {
        die("read", path);
    }
    (void) fclose(file);
}

/* A copy of the exact size, so that a sanitizer sees a read beyond the end. */
static void run_target(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);

    if (copy == NULL) {
        die("malloc", "input");
    }
    memcpy(copy, data, size);
    (void) LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static size_t insert(uint8_t *data, size_t size, size_t at, const uint8_t *piece, size_t len)
{
    memmove(data + at + len, data + at, size - at);
    memcpy(data + at, piece, len);
    return size + len;
}

/* One change in place; `data` has room for GROWTH_MAX more. */
static size_t change(uint8_t *data, size_t size)
{
    /* Bytes at the edges: of UTF-8, of quoting, of varints. */
    static const uint8_t edges[] = "\0\x01\x1f \"%+-./:@\\\x7f\x80\xbf\xc0\xc3\xe2\xed\xf0\xf4\xff";
    uint8_t piece[GROWTH_MAX];
    size_t at = random_below(size + 1);
    size_t len;

    switch (random_below(5)) {
    case 0: /* turn a bit */
        if (at < size) {
            data[at] ^= (uint8_t) (1u << random_below(8));
        }
        return size;
    case 1: /* cut out a run */
        len = random_below(size - at + 1);
        memmove(data + at, data + at + len, size - at - len);
        return size - len;
    case 2: /* double a run */
        len = random_below(size - at + 1);
        len = len > GROWTH_MAX ? GROWTH_MAX : len;
        memcpy(piece, data + at, len);
        return insert(data, size, at, piece, len);
    case 3: /* an edge byte */
        piece[0] = edges[random_below(sizeof(edges) - 1)];
        return insert(data, size, at, piece, 1);
    default: /* any byte */
        piece[0] = (uint8_t) random_next();
        return insert(data, size, at, piece, 1);
    }
}

static void run_changed(const struct input *input, unsigned long rounds)
{
    enum { CHANGES_MAX = 8 };
    uint8_t *data = malloc(input->size + (size_t) CHANGES_MAX * GROWTH_MAX);

    if (data == NULL) {
        die("malloc", "input");
    }
    for (unsigned long round = 0; round < rounds; round++) {
        size_t size = input->size;
        size_t changes = 1 + random_below(CHANGES_MAX);

        memcpy(data, input->data, size);
        while (changes-- > 0) {
            size = change(data, size);
        }
        run_target(data, size);
    }
    free(data);
}

/* The same seed for each file, so that a finding needs only its file to come again. */
static void run_file(const char *path, unsigned long rounds, uint64_t seed)
{
    struct input input;

    printf("%s\n", path);
    (void) fflush(stdout);
    random_state = seed | 1;
    read_input(path, &input);
    run_target(input.data, input.size);
    run_changed(&input, rounds);
    free(input.data);
}

static size_t run_directory(const char *directory, unsigned long rounds, uint64_t seed)
{
    struct dirent **entries;
    int count = scandir(directory, &entries, NULL, alphasort);
    size_t files = 0;

    if (count < 0) {
        die("scandir", directory);
    }
    for (int i = 0; i < count; i++) {
        char path[4096];

        if (entries[i]->d_name[0] != '.') {
            (void) snprintf(path, sizeof(path), "%s/%s", directory, entries[i]->d_name);
            run_file(path, rounds, seed);
            files++;
        }
        free(entries[i]);
    }
    free(entries);
    return files;
}

int main(int argc, char **argv)
{
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    size_t files = 0;

    printf("%lu rounds a file, seed %llu\n", rounds, (unsigned long long) seed);
    for (int i = 3; i < argc; i++) {
        files += run_directory(argv[i], rounds, seed);
    }
    if (files == 0) {
        fprintf(stderr, "usage: %s ROUNDS SEED DIRECTORY..., with at least one file\n", argv[0]);
        return 2;
    }
    return 0;
}
