// SPDX-License-Identifier: Apache-2.0
// From PEM files to an SSL_CTX. Reads files on the main thread only; loops take sessions under a lock that is held for the
// time of an SSL_new. A key's text is wiped as soon as OpenSSL has it.
#include "http_tls_context.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#define FILE_MAX (1 << 20) // of a PEM file; a bundle of every public authority is a fifth of it

// TLS 1.2 with forward secrecy and authenticated ciphers only; 1.3 has no others.
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!PSK:!SHA1"

struct bfr_tls {
    const char *section;
    pthread_mutex_t lock; // of `context`
    SSL_CTX *context;
};

// What was found beyond errors.
struct notes {
    bool key_exposed;
    bool expired;
    bool not_yet;
};

const char *bfr_tls_error(char *room, size_t size)
{
    unsigned long code = ERR_get_error();
    const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);
    (void)snprintf(room, size, "%s", reason != NULL ? reason : "unknown error");
    ERR_clear_error();
    return room;
}

// ---- files ----

// The whole file, to be wiped and freed by the caller.
static uint32_t read_file(const char *path, char **out, size_t *out_size, struct stat *out_info, struct bfr_err *err)
{
    uint32_t status = BFR_EFAIL;
    char *text = NULL;
    size_t size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a FIFO is refused below, not waited for
    if (fd < 0 || fstat(fd, out_info) != 0) {
        bfr_err_set(err, status, "cannot read '%s': %s", path, strerror(errno));
        goto out;
    }
    if (!S_ISREG(out_info->st_mode) || out_info->st_size > FILE_MAX) {
        bfr_err_set(err, status, "'%s' is not a regular file of at most 1 MiB", path);
        goto out;
    }
    text = malloc((size_t)out_info->st_size + 1);
    while (text != NULL && size < (size_t)out_info->st_size) {
        ssize_t got = read(fd, text + size, (size_t)out_info->st_size - size);
        if (got <= 0)
            break;
        size += (size_t)got;
    }
    if (text == NULL || size == 0) {
        bfr_err_set(err, status, "'%s' is empty, or memory is short", path);
        goto out;
    }
    *out = text;
    *out_size = size;
    text = NULL;
    status = BFR_OK;
out:
    free(text);
    if (fd >= 0)
        close(fd);
    return status;
}

// For the files that OpenSSL opens itself.
static uint32_t check_file(const char *path, struct bfr_err *err)
{
    struct stat info;
    if (stat(path, &info) != 0 || access(path, R_OK) != 0)
        return bfr_err_set(err, BFR_EFAIL, "cannot read '%s': %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode) || info.st_size > FILE_MAX)
        return bfr_err_set(err, BFR_EFAIL, "'%s' is not a regular file of at most 1 MiB", path);
    return BFR_OK;
}

// Whoever asks for a passphrase gets none: there is nobody to type it.
static int no_passphrase(char *room, int size, int writing, void *arg)
{
    (void)room, (void)size, (void)writing;
    *(bool *)arg = true;
    return 0;
}

static uint32_t load_key(const char *path, EVP_PKEY **out, struct notes *notes, struct bfr_err *err)
{
    char *text = NULL;
    size_t size = 0;
    struct stat info;
    bool encrypted = false;
    uint32_t status = read_file(path, &text, &size, &info, err);
    if (status != BFR_OK)
        return status;
    notes->key_exposed = (info.st_mode & S_IRWXO) != 0;
    BIO *bio = BIO_new_mem_buf(text, (int)size);
    if (bio != NULL)
        *out = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &encrypted);
    if (*out == NULL)
        status = encrypted ? bfr_err_set(err, BFR_EINVAL,
                                         "the key in '%s' is encrypted; decrypt it with 'openssl pkey' and protect the "
                                         "file by its permissions",
                                         path)
                           : bfr_err_set(err, BFR_EINVAL, "'%s' holds no private key in PEM form", path);
    BIO_free(bio);
    OPENSSL_cleanse(text, size);
    free(text);
    ERR_clear_error();
    return status;
}

// ---- context ----

static uint32_t use_certificate(SSL_CTX *context, const char *path, struct notes *notes, struct bfr_err *err)
{
    char reason[128];
    uint32_t status = check_file(path, err);
    if (status != BFR_OK)
        return status;
    if (SSL_CTX_use_certificate_chain_file(context, path) != 1)
        return bfr_err_set(err, BFR_EINVAL, "'%s' is not a chain of certificates in PEM form: %s", path,
                           bfr_tls_error(reason, sizeof reason));
    const X509 *certificate = SSL_CTX_get0_certificate(context);
    notes->expired = X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0;
    notes->not_yet = X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0;
    return BFR_OK;
}

static uint32_t use_key(SSL_CTX *context, const struct bfr_tls_settings *settings, struct notes *notes,
                        struct bfr_err *err)
{
    EVP_PKEY *key = NULL;
    uint32_t status = load_key(settings->key, &key, notes, err);
    if (status != BFR_OK)
        return status;
    X509 *certificate = SSL_CTX_get0_certificate(context);
    if (X509_check_private_key(certificate, key) != 1)
        status = bfr_err_set(err, BFR_EINVAL,
                             "the key in '%s' does not belong to the certificate in '%s'; both must come from the same "
                             "request",
                             settings->key, settings->certificate);
    else if (SSL_CTX_use_PrivateKey(context, key) != 1)
        status = bfr_err_set(err, BFR_EINVAL, "OpenSSL does not accept the key in '%s'", settings->key);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return status;
}

static uint32_t use_client_ca(SSL_CTX *context, const char *path, struct bfr_err *err)
{
    char reason[128];
    if (path[0] == '\0')
        return BFR_OK;
    uint32_t status = check_file(path, err);
    if (status != BFR_OK)
        return status;
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(path);
    if (names == NULL || SSL_CTX_load_verify_file(context, path) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return bfr_err_set(err, BFR_EINVAL, "'%s' holds no certificates of authorities in PEM form: %s", path,
                           bfr_tls_error(reason, sizeof reason));
    }
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return BFR_OK;
}

static SSL_CTX *new_context(void)
{
    static const unsigned char id[] = "bytefreezer-receiver"; // with client certificates nothing is resumed without one
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL)
        return NULL;
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_PRIORITIZE_CHACHA);
    // An idle connection keeps no record buffers; a partial write is impossible, because writes go to memory.
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 && SSL_CTX_set_cipher_list(context, CIPHERS) == 1 &&
        SSL_CTX_set_session_id_context(context, id, sizeof id - 1) == 1)
        return context;
    SSL_CTX_free(context);
    return NULL;
}

static uint32_t load(const struct bfr_tls_settings *settings, SSL_CTX **out, struct notes *notes, struct bfr_err *err)
{
    *notes = (struct notes){.expired = false};
    SSL_CTX *context = new_context();
    if (context == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "cannot set up TLS: out of memory");
    uint32_t status = use_certificate(context, settings->certificate, notes, err);
    if (status == BFR_OK)
        status = use_key(context, settings, notes, err);
    if (status == BFR_OK)
        status = use_client_ca(context, settings->client_ca, err);
    if (status == BFR_OK)
        *out = context;
    else
        SSL_CTX_free(context);
    return status;
}

// ---- in use ----

uint32_t bfr_tls_new(const struct bfr_tls_settings *settings, const char *section, struct bfr_tls **out,
                     struct bfr_err *err)
{
    *out = NULL;
    if (settings->certificate == NULL || settings->certificate[0] == '\0')
        return BFR_OK;
    struct bfr_err cause = {.size = sizeof cause};
    struct notes notes;
    struct bfr_tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "%s: out of memory", section);
    uint32_t status = load(settings, &tls->context, &notes, &cause);
    if (status != BFR_OK) {
        free(tls);
        return bfr_err_set(err, status, "%s: %s", section, cause.text);
    }
    tls->section = section;
    pthread_mutex_init(&tls->lock, NULL);
    *out = tls;
    return BFR_OK;
}

void bfr_tls_free(struct bfr_tls *tls)
{
    if (tls == NULL)
        return;
    SSL_CTX_free(tls->context);
    pthread_mutex_destroy(&tls->lock);
    free(tls);
}

uint32_t bfr_tls_prepare(const struct bfr_tls *tls, const struct bfr_tls_settings *settings, SSL_CTX **out,
                         struct bfr_err *err)
{
    struct bfr_err cause = {.size = sizeof cause};
    struct notes notes;
    *out = NULL;
    if (tls == NULL)
        return BFR_OK;
    uint32_t status = load(settings, out, &notes, &cause);
    return status == BFR_OK ? BFR_OK : bfr_err_set(err, status, "%s: %s", tls->section, cause.text);
}

void bfr_tls_exchange(struct bfr_tls *tls, SSL_CTX *context)
{
    if (tls == NULL)
        return;
    pthread_mutex_lock(&tls->lock);
    SSL_CTX *old = tls->context;
    tls->context = context;
    pthread_mutex_unlock(&tls->lock);
    SSL_CTX_free(old); // sessions that use it hold it
}

SSL *bfr_tls_session(struct bfr_tls *tls)
{
    pthread_mutex_lock(&tls->lock);
    SSL *ssl = SSL_new(tls->context);
    pthread_mutex_unlock(&tls->lock);
    if (ssl != NULL)
        SSL_set_accept_state(ssl);
    return ssl;
}

void bfr_tls_check(const struct bfr_tls_settings *settings, const char *section, const struct bfr_place places[3],
                   struct bfr_diag *diag)
{
    if (settings->certificate[0] == '\0' || settings->key[0] == '\0') // one without the other is reported already
        return;
    struct bfr_err err = {.size = sizeof err};
    struct notes notes;
    SSL_CTX *context = NULL;
    if (load(settings, &context, &notes, &err) != BFR_OK) {
        // The file that is named in the message; by default that of the certificate.
        size_t at = 0;
        if (strstr(err.text, settings->key) != NULL)
            at = 1;
        else if (settings->client_ca[0] != '\0' && strstr(err.text, settings->client_ca) != NULL)
            at = 2;
        bfr_diag_error(diag, places[at], "%s: %s", section, err.text);
    }
    SSL_CTX_free(context);
    if (notes.expired)
        bfr_diag_warning(diag, places[0],
                         "%s.certificate: '%s' has expired; clients will refuse it until it is renewed", section,
                         settings->certificate);
    if (notes.not_yet)
        bfr_diag_warning(diag, places[0], "%s.certificate: '%s' is not valid yet; look at its dates and at the clock",
                         section, settings->certificate);
    if (notes.key_exposed)
        bfr_diag_warning(diag, places[1], "%s.key: other users of this machine can reach '%s'; chmod o= it", section,
                         settings->key);
}
