// SPDX-License-Identifier: Apache-2.0
// The auth stage `auth`: descriptor, options, life, and authorize as a loop calls it. Reads the tenants file in create
// (that validates it) and again in reload; a bad file changes nothing. No thread, no lock: authorize runs on all loops.
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include <bfr/plugin.h>
#include <bfr/text.h>

#include "decide.h"
#include "live.h"
#include "tenants_file.h"

struct auth {
    const struct bfr_host *host;
    bool open;          // mode: open; nothing below is used
    bool require_token; // for the life of the stage
    EVP_MD *sha256;     // fetched once: fetching takes longer than hashing
    struct live live;
};

// The file in force may be another one after a reload: the path is asked for each time.
static uint32_t read_roster(struct auth *auth, struct roster **out, struct bfr_err *err)
{
    const char *path = auth->host->config_string(auth->host, "tenants_file");
    bool open_to_all = false;

    if (path[0] == '\0')
        return bfr_err_set(err, BFR_EINVAL,
                           "mode 'tokens' needs tenants_file; name the YAML file that lists tenants and token hashes");
    uint32_t status = bfr_tenants_file_read(path, auth->require_token, out, &open_to_all, err);
    if (status == BFR_OK && open_to_all)
        bfr_log(auth->host, BFR_LOG_WARN, "anyone on this machine may change the tenants file; chmod o-w it", "path",
                path, NULL);
    return status;
}

static void free_roster(struct live_item *item)
{
    bfr_roster_free((struct roster *)item);
}

static void destroy(void *self)
{
    struct auth *auth = self;

    bfr_live_free(&auth->live);
    EVP_MD_free(auth->sha256);
    free(auth);
}

static uint32_t build(struct auth *auth, struct bfr_err *err)
{
    struct roster *roster = NULL;

    auth->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (auth->sha256 == NULL)
        return bfr_err_set(err, BFR_EFAIL, "OpenSSL offers no SHA-256; check the providers in openssl.cnf");
    uint32_t status = read_roster(auth, &roster, err);
    if (status == BFR_OK)
        bfr_live_replace(&auth->live, &roster->live);
    return status;
}

static uint32_t create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    uint32_t status = BFR_OK;
    struct auth *auth = calloc(1, sizeof *auth);

    if (auth == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    auth->host = host;
    auth->open = strcmp(host->config_string(host, "mode"), "open") == 0;
    auth->require_token = host->config_bool(host, "require_token");
    bfr_live_init(&auth->live, free_roster);
    if (!auth->open)
        status = build(auth, err);
    if (status == BFR_OK)
        *out_self = auth;
    else
        destroy(auth);
    return status;
}

static uint32_t start(void *self, struct bfr_err *err)
{
    struct auth *auth = self;
    (void)err;

    if (auth->open)
        bfr_log(auth->host, BFR_LOG_WARN, "anyone who reaches the port may send for any tenant (mode: open)", NULL);
    else if (!auth->require_token)
        bfr_log(auth->host, BFR_LOG_WARN,
                "tokens are not checked: anyone who reaches the port may send for a listed tenant (require_token: "
                "false)",
                NULL);
    return BFR_OK;
}

static uint32_t reload(void *self, struct bfr_err *err)
{
    struct auth *auth = self;
    struct roster *roster = NULL;

    if (auth->open)
        return BFR_OK;
    uint32_t status = read_roster(auth, &roster, err);
    if (status == BFR_OK)
        bfr_live_replace(&auth->live, &roster->live);
    return status;
}

static uint32_t authorize(void *self, const struct bfr_request *request, uint64_t ticket, struct bfr_verdict *out)
{
    struct auth *auth = self;
    (void)ticket; // the answer is always there at once

    if (auth->open)
        return bfr_decide_allow(out, "");
    const struct roster *roster = (const struct roster *)bfr_live_enter(&auth->live);
    uint32_t decision = bfr_decide(roster, auth->require_token, auth->sha256, request, out);
    bfr_live_leave(&auth->live);
    return decision;
}

static const struct bfr_option options[] = {
    {.name = "mode",
     .type = BFR_OPTION_STRING,
     .flags = BFR_OPTION_REQUIRED,
     .choices = "open|tokens",
     .help = "tokens: senders show a token of their tenant; open: anyone may send for any tenant"},
    {.name = "tenants_file",
     .type = BFR_OPTION_PATH,
     .flags = BFR_OPTION_LIVE,
     .help = "mode tokens: YAML file of tenants, datasets and token hashes; read again at reload"},
    {.name = "require_token",
     .type = BFR_OPTION_BOOL,
     .fallback = "true",
     .help = "mode tokens: false ignores the Authorization field; tenant and dataset must still be listed"},
};

static const struct bfr_life life = {
    .size = sizeof life,
    .create = create,
    .start = start,
    .destroy = destroy,
    .reload = reload,
};

static const struct bfr_auth_vtable auth_table = {
    .size = sizeof auth_table,
    .authorize = authorize,
};

static const struct bfr_plugin plugin = {
    BFR_PLUGIN_HEAD,
    .kind = BFR_KIND_AUTH,
    .name = "auth",
    .version = "1.0",
    .summary = "Checks bearer tokens against a file of tenants, or lets everyone in",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .option_size = sizeof options[0],
    .life = &life,
    .vtable = &auth_table,
};

const struct bfr_plugin *bfr_plugin_entry_v1(void)
{
    return &plugin;
}
