#include "base/digest.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

/* Fetching the algorithm by name for each digest costs more than a short digest itself. */
static EVP_MD *sha256;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t context_key;

static void context_free(void *context)
{
    EVP_MD_CTX_free(context);
}

static void fetch(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (sha256 == NULL || pthread_key_create(&context_key, context_free) != 0) {
        abort();
    }
}

static EVP_MD_CTX *context_of_thread(void)
{
    EVP_MD_CTX *context;

    (void) pthread_once(&once, fetch);
    context = pthread_getspecific(context_key);
    if (context == NULL) {
        context = EVP_MD_CTX_new();
        if (context == NULL || pthread_setspecific(context_key, context) != 0) {
            abort();
        }
    }
    return context;
}

void digest_pieces(const struct digest_piece *pieces, size_t count, uint8_t out[DIGEST_SIZE])
{
    EVP_MD_CTX *context = context_of_thread();

    if (EVP_DigestInit_ex2(context, sha256, NULL) != 1) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        if (EVP_DigestUpdate(context, pieces[i].data, pieces[i].len) != 1) {
            abort();
        }
    }
    if (EVP_DigestFinal_ex(context, out, NULL) != 1) {
        abort();
    }
}

void digest(const void *data, size_t len, uint8_t out[DIGEST_SIZE])
{
    digest_pieces(&(struct digest_piece){ data, len }, 1, out);
}
