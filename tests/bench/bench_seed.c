/* bench_seed DIRECTORY ACCOUNTS [--check]: a state directory's database of that size (seed.h).
 * Prints the last account and its address. */
#include "bench/bench.h"
#include "bench/seed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
    bool checks = argc == 4 && strcmp(argv[3], "--check") == 0;
    uint64_t accounts = argc < 3 ? 0 : strtoull(argv[2], NULL, 10);
    char account[SEED_NAME_MAX];
    char address[SEED_NAME_MAX];

    if (accounts == 0 || (argc != 3 && !checks)) {
        (void) fprintf(stderr, "usage: bench_seed DIRECTORY ACCOUNTS [--check]\n");
        return 2;
    }
    bench_check(mkdir(argv[1], 0700) == 0 || errno == EEXIST, "can't make the directory");
    seed_make(argv[1], accounts);
    if (checks) {
        seed_check(argv[1], accounts);
    }
    seed_account(accounts, accounts - 1, account);
    seed_address(accounts, accounts - 1, address);
    return printf("%s %s\n", account, address) > 0 ? 0 : 1;
}
