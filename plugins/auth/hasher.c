// SPDX-License-Identifier: Apache-2.0
// See hasher.h.
#include "hasher.h"

static void free_context(void *context)
{
    EVP_MD_CTX_free(context);
}

bool bfr_hasher_init(struct hasher *hasher)
{
    hasher->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (hasher->sha256 == NULL)
        return false;
    if (pthread_key_create(&hasher->context, free_context) == 0)
        return true;
    EVP_MD_free(hasher->sha256);
    hasher->sha256 = NULL;
    return false;
}

// The other threads have ended, and theirs with them.
void bfr_hasher_fini(struct hasher *hasher)
{
    if (hasher->sha256 == NULL)
        return;
    EVP_MD_CTX_free(pthread_getspecific(hasher->context));
    pthread_key_delete(hasher->context);
    EVP_MD_free(hasher->sha256);
    hasher->sha256 = NULL;
}

static EVP_MD_CTX *context_of(const struct hasher *hasher)
{
    EVP_MD_CTX *context = pthread_getspecific(hasher->context);

    if (context != NULL)
        return context;
    context = EVP_MD_CTX_new();
    if (context != NULL && pthread_setspecific(hasher->context, context) == 0)
        return context;
    EVP_MD_CTX_free(context);
    return NULL;
}

bool bfr_hasher_hash(const struct hasher *hasher, struct bfr_span text, uint8_t out[32])
{
    EVP_MD_CTX *context = context_of(hasher);

    return context != NULL && EVP_DigestInit_ex(context, hasher->sha256, NULL) == 1 &&
           EVP_DigestUpdate(context, text.data, text.size) == 1 && EVP_DigestFinal_ex(context, out, NULL) == 1;
}
