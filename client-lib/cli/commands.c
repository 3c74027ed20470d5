#include "commands.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <mxadm/mxadm.h>

#include "memory.h"

/* Nouns of more than one word; else the first word is the noun. */
static const char *const long_nouns[] = { "tls-public-key-" };

/* "tls-public-key-add" of "TLSPublicKeyAdd". */
static void kebab(const char *camel, char *out, size_t size)
{
    size_t len = 0;
    for (size_t i = 0; camel[i] != '\0' && len + 2 < size; i++) {
        bool word =
            i > 0 && isupper((unsigned char) camel[i]) &&
            (islower((unsigned char) camel[i - 1]) || islower((unsigned char) camel[i + 1]));
        if (word) {
            out[len++] = '-';
        }
        out[len++] = (char) tolower((unsigned char) camel[i]);
    }
    out[len] = '\0';
}

static void split(struct command *command, const char *method)
{
    char words[COMMAND_WORD_MAX];
    kebab(method, words, sizeof(words));
    size_t noun = strcspn(words, "-");
    for (size_t i = 0; i < sizeof(long_nouns) / sizeof(long_nouns[0]); i++) {
        if (strncmp(words, long_nouns[i], strlen(long_nouns[i])) == 0) {
            noun = strlen(long_nouns[i]) - 1;
        }
    }
    (void) snprintf(command->noun, sizeof(command->noun), "%.*s", (int) noun, words);
    (void) snprintf(command->verb, sizeof(command->verb), "%s",
                    words[noun] == '-' ? words + noun + 1 : "");
}

static struct command *make(size_t *count_out)
{
    size_t service_count;
    const ProtobufCServiceDescriptor *const *services = mxadm_services(&service_count);
    struct command *commands = NULL;
    size_t count = 0;
    for (size_t s = 0; s < service_count; s++) {
        commands = memory_resize(commands, (count + services[s]->n_methods) * sizeof(*commands));
        for (unsigned m = 0; m < services[s]->n_methods; m++) {
            struct command *command = &commands[count++];
            command->method = &services[s]->methods[m];
            (void) snprintf(command->name, sizeof(command->name), "%s/%s", services[s]->name,
                            command->method->name);
            if (s == 0) {
                split(command, command->method->name);
            } else { /* another service than Admin is a noun itself */
                kebab(services[s]->short_name, command->noun, sizeof(command->noun));
                kebab(command->method->name, command->verb, sizeof(command->verb));
            }
        }
    }
    *count_out = count;
    return commands;
}

const struct command *commands_all(size_t *count_out)
{
    static const struct command *commands;
    static size_t count;
    if (commands == NULL) {
        commands = make(&count);
    }
    *count_out = count;
    return commands;
}

const struct command *command_find(const char *noun, const char *verb)
{
    size_t count;
    const struct command *commands = commands_all(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(commands[i].noun, noun) == 0 && strcmp(commands[i].verb, verb) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

const struct command *command_of_noun(const char *noun)
{
    size_t count;
    const struct command *commands = commands_all(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(commands[i].noun, noun) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

/* How many letters must be put in, taken out or changed to make one word of the other. */
static size_t distance(const char *a, const char *b)
{
    size_t row[COMMAND_WORD_MAX];
    size_t b_len = strlen(b);
    if (b_len >= COMMAND_WORD_MAX) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t changed = diagonal + (a[i - 1] != b[j - 1]);
            size_t shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = changed < shorter ? changed : shorter;
        }
    }
    return row[b_len];
}

const char *command_guess(const char *word, const char *const *words)
{
    const char *best = NULL;
    size_t best_distance = strlen(word) / 3 + 2; /* further away it is another word */
    for (; *words != NULL; words++) {
        size_t d = distance(word, *words);
        if (d < best_distance) {
            best_distance = d;
            best = *words;
        }
    }
    return best;
}
