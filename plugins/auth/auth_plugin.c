// SPDX-License-Identifier: Apache-2.0
// The auth stage `auth`: descriptor, options, life, and authorize as a loop calls it, for each mode. `tokens` reads the
// tenants file in create (that validates it) and again in reload; a bad file changes nothing. `control` is control.h.
#include <stdlib.h>
#include <string.h>

#include <bfr/plugin.h>
#include <bfr/text.h>

#include "control.h"
#include "decide.h"
#include "hasher.h"
#include "live.h"
#include "roster_show.h"
#include "tenants_file.h"

struct auth {
    const struct bfr_host *host;
    bool open;          // mode: open; nothing below is used
    bool require_token; // for the life of the stage
    struct hasher hasher;
    struct control *control; // mode: control; else NULL
    struct live live;        // mode: tokens; of rosters
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

    bfr_control_free(auth->control);
    bfr_live_free(&auth->live);
    bfr_hasher_fini(&auth->hasher);
    free(auth);
}

static uint32_t build(struct auth *auth, const char *mode, struct bfr_err *err)
{
    struct roster *roster = NULL;

    if (!bfr_hasher_init(&auth->hasher))
        return bfr_err_set(err, BFR_EFAIL, "OpenSSL offers no SHA-256; check the providers in openssl.cnf");
    if (strcmp(mode, "control") == 0) {
        auth->control = bfr_control_new(auth->host, &auth->hasher, auth->require_token, err);
        return auth->control == NULL ? BFR_EINVAL : BFR_OK;
    }
    uint32_t status = read_roster(auth, &roster, err);
    if (status == BFR_OK)
        bfr_live_replace(&auth->live, &roster->live);
    return status;
}

static uint32_t create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    uint32_t status = BFR_OK;
    const char *mode = host->config_string(host, "mode");
    struct auth *auth = calloc(1, sizeof *auth);

    if (auth == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    auth->host = host;
    auth->open = strcmp(mode, "open") == 0;
    auth->require_token = host->config_bool(host, "require_token");
    bfr_live_init(&auth->live, free_roster);
    if (!auth->open)
        status = build(auth, mode, err);
    if (status == BFR_OK)
        *out_self = auth;
    else
        destroy(auth);
    return status;
}

static uint32_t start(void *self, struct bfr_err *err)
{
    struct auth *auth = self;

    if (auth->open)
        bfr_log(auth->host, BFR_LOG_WARN, "anyone who reaches the port may send for any tenant (mode: open)", NULL);
    else if (!auth->require_token)
        bfr_log(auth->host, BFR_LOG_WARN,
                "tokens are not checked: anyone who reaches the port may send for a listed tenant (require_token: "
                "false)",
                NULL);
    return auth->control == NULL ? BFR_OK : bfr_control_start(auth->control, err);
}

static void stop(void *self)
{
    struct auth *auth = self;

    if (auth->control != NULL)
        bfr_control_stop(auth->control);
}

static uint32_t reload(void *self, struct bfr_err *err)
{
    struct auth *auth = self;
    struct roster *roster = NULL;

    if (auth->open || auth->control != NULL)
        return BFR_OK;
    uint32_t status = read_roster(auth, &roster, err);
    if (status == BFR_OK)
        bfr_live_replace(&auth->live, &roster->live);
    return status;
}

static void health(void *self, struct bfr_health *out)
{
    struct auth *auth = self;

    out->state = BFR_HEALTH_OK;
    out->reason[0] = '\0';
    if (auth->control != NULL)
        bfr_control_health(auth->control, out);
}

// Has the control service been asked?
static bool probed(void *self)
{
    struct auth *auth = self;

    return auth->control == NULL || auth->control->http == NULL || atomic_load(&auth->control->asked);
}

static uint32_t authorize(void *self, const struct bfr_request *request, uint64_t ticket, struct bfr_verdict *out)
{
    struct auth *auth = self;

    if (auth->open)
        return bfr_decide_allow(out, "");
    if (auth->control != NULL)
        return bfr_control_authorize(auth->control, request, ticket, out);
    const struct roster *roster = (const struct roster *)bfr_live_enter(&auth->live);
    uint32_t decision = bfr_decide(roster, auth->require_token, &auth->hasher, request, out);
    bfr_live_leave(&auth->live);
    return decision;
}

static void cancel(void *self, uint64_t ticket)
{
    struct auth *auth = self;

    if (auth->control != NULL)
        bfr_control_cancel(auth->control, ticket);
}

static bool directory(void *self, struct bfr_directory *out)
{
    struct auth *auth = self;

    if (auth->control != NULL)
        return bfr_control_directory(auth->control, out);
    if (auth->open)
        return false;
    const struct roster *roster = (const struct roster *)bfr_live_enter(&auth->live);
    out->flags = BFR_DIRECTORY_LOADED;
    out->tenants = roster->tenant_count;
    out->datasets = roster->dataset_count;
    bfr_live_leave(&auth->live);
    return true;
}

static void tenants(void *self, const char *tenant, uint64_t skip,
                    bool (*visit)(void *arg, const struct bfr_known_tenant *tenant), void *arg)
{
    struct auth *auth = self;

    if (auth->control != NULL) {
        bfr_control_tenants(auth->control, tenant, skip, visit, arg);
    } else if (!auth->open) {
        bfr_roster_show((const struct roster *)bfr_live_enter(&auth->live), tenant, skip, visit, arg);
        bfr_live_leave(&auth->live);
    }
}

static const struct bfr_option options[] = {
    {.name = "mode",
     .type = BFR_OPTION_STRING,
     .flags = BFR_OPTION_REQUIRED,
     .choices = "open|tokens|control",
     .help = "control: the control service knows tenants, datasets and tokens; tokens: a file does; open: anyone may "
             "send for any tenant"},
    {.name = "tenants_file",
     .type = BFR_OPTION_PATH,
     .flags = BFR_OPTION_LIVE,
     .help = "mode tokens: YAML file of tenants, datasets and token hashes; read again at reload"},
    {.name = "require_token",
     .type = BFR_OPTION_BOOL,
     .fallback = "true",
     .help = "false ignores the Authorization field; tenant and dataset must still be listed, or active"},
    {.name = "control_url",
     .type = BFR_OPTION_STRING,
     .help = "mode control: address of the control service; without one every batch is answered 503"},
    {.name = "api_key",
     .type = BFR_OPTION_STRING,
     .flags = BFR_OPTION_SECRET,
     .help = "mode control: key that the control service is shown"},
    {.name = "account_id",
     .type = BFR_OPTION_STRING,
     .help = "mode control: serve this account alone; unset, managed, system: all that the key may see"},
    {.name = "ca_file",
     .type = BFR_OPTION_PATH,
     .help = "mode control: certificates to trust (PEM) instead of the system's"},
    {.name = "timeout",
     .type = BFR_OPTION_DURATION,
     .fallback = "30s",
     .min = "100ms",
     .max = "10m",
     .help = "mode control: for one call; look-ups for a waiting sender take 5 s at most"},
    {.name = "refresh_interval",
     .type = BFR_OPTION_DURATION,
     .fallback = "30s",
     .min = "100ms",
     .max = "1d",
     .help = "mode control: how often the service is asked for changes, within a quarter either way"},
    {.name = "max_stale",
     .type = BFR_OPTION_DURATION,
     .fallback = "2m",
     .max = "1d",
     .help =
         "mode control: lists newer than a request, and no older than this, may refuse it when its look-up fails; 0: "
         "none may; what is known to be active is served at any age"},
    {.name = "cache_file",
     .type = BFR_OPTION_PATH,
     .fallback = "/var/lib/bytefreezer-receiver/directory.cache",
     .help = "mode control: keeps the directory for a start while the service is away; its directory must exist"},
};

static const struct bfr_life life = {
    .size = sizeof life,
    .create = create,
    .start = start,
    .stop = stop,
    .destroy = destroy,
    .reload = reload,
    .health = health,
    .probed = probed,
};

static const struct bfr_auth_vtable auth_table = {
    .size = sizeof auth_table,
    .authorize = authorize,
    .cancel = cancel,
    .directory = directory,
    .tenants = tenants,
};

static const struct bfr_plugin plugin = {
    BFR_PLUGIN_HEAD,
    .kind = BFR_KIND_AUTH,
    .name = "auth",
    .version = "1.0",
    .summary = "Checks senders against the control service or a file of tenants, or lets everyone in",
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
