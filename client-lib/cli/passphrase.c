#include "passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* Reads up to the end of a line, byte by byte: no buffer of stdio keeps a copy. */
static bool read_line(int fd, struct passphrase *passphrase, const char *from,
                      struct problem *problem)
{
    size_t len = 0;
    char c;
    ssize_t got;
    while ((got = read(fd, &c, 1)) == 1 && c != '\n') {
        if (len == PASSPHRASE_MAX) {
            return problem_say(problem, "the passphrase in %s has more than %d bytes", from,
                               PASSPHRASE_MAX);
        }
        passphrase->text[len++] = c;
    }
    if (len > 0 && passphrase->text[len - 1] == '\r') {
        len--;
    }
    passphrase->text[len] = '\0';
    if (got < 0) {
        return problem_say(problem, "can't read the passphrase from %s: %s", from, strerror(errno));
    }
    return len > 0 || problem_say(problem, "the passphrase in %s is empty", from);
}

static bool ask(int terminal, const char *words, struct passphrase *passphrase,
                struct problem *problem)
{
    struct termios before;
    if (tcgetattr(terminal, &before) != 0) {
        return problem_say(problem, "can't ask for the passphrase: %s", strerror(errno));
    }
    struct termios silent = before;
    silent.c_lflag &= ~(tcflag_t) ECHO;
    (void) tcsetattr(terminal, TCSAFLUSH, &silent);
    (void) dprintf(terminal, "%s: ", words);
    bool good = read_line(terminal, passphrase, "the terminal", problem);
    (void) tcsetattr(terminal, TCSAFLUSH, &before);
    (void) dprintf(terminal, "\n");
    return good;
}

static bool ask_at_terminal(struct passphrase *passphrase, bool twice, struct problem *problem)
{
    int terminal = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal < 0) {
        return problem_say(problem, "there is no terminal to ask for the passphrase at: use "
                                    "--passphrase-file");
    }
    struct passphrase again;
    bool good = ask(terminal, "Passphrase", passphrase, problem);
    if (good && twice) {
        good = ask(terminal, "Once more", &again, problem) &&
               (strcmp(again.text, passphrase->text) == 0 ||
                problem_say(problem, "the two passphrases differ"));
        explicit_bzero(&again, sizeof(again));
    }
    (void) close(terminal);
    return good;
}

bool passphrase_read(struct passphrase *passphrase, const char *file, bool twice,
                     struct problem *problem)
{
    if (file == NULL) {
        return ask_at_terminal(passphrase, twice, problem);
    }
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return problem_say(problem, "can't open '%.200s': %s", file, strerror(errno));
    }
    bool good = read_line(fd, passphrase, "the file", problem);
    (void) close(fd);
    return good;
}
