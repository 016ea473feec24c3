// SPDX-License-Identifier: Apache-2.0
// A small client for the daemon's own API on libcurl's multi interface, so that other things can be waited for at the
// same time. Main thread. Follows no redirect and uses no proxy:
// the token is for the daemon alone. The token is never printed.
#include "cli_api.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "app.h"
#include "cli_settings.h"

#define REPLY_MAX (64U << 20)

struct bfr_cli_api {
    CURL *curl;
    CURLM *multi;
    bool under_way;         // `curl` is in `multi`
    CURLcode ended;         // how the last one did
    bfr_cli_api_take *take; // NULL: into `reply`
    void *take_arg;
    struct curl_slist *headers;
    char base[1024]; // without a '/' at its end
    char *reply;
    size_t reply_size;
};

BFR_PRINTF(1, 2) static void complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("bytefreezer-receiver: ", stderr);
    vfprintf(stderr, format, args); // NOLINT(clang-analyzer-valist.Uninitialized): the line above begins it
    fputc('\n', stderr);
    va_end(args);
}

// --- where it is

// The address to dial for one that is bound; what is bound everywhere is also here.
static const char *dial_address(const char *bind)
{
    if (strcmp(bind, "0.0.0.0") == 0)
        return "127.0.0.1";
    return strcmp(bind, "::") == 0 ? "::1" : bind;
}

static bool place_of(const struct bfr_settings *settings, char *out, size_t room)
{
    const char *address = dial_address(settings->server.bind_count > 0 ? settings->server.bind[0] : "127.0.0.1");
    bool v6 = strchr(address, ':') != NULL;
    if (settings->server.api_port == 0) {
        complain("server.api_port is 0, so the port is chosen anew at every start; say --api URL");
        return false;
    }
    snprintf(out, room, "%s://%s%s%s:%u", settings->server.tls.certificate[0] != '\0' ? "https" : "http", v6 ? "[" : "",
             address, v6 ? "]" : "", settings->server.api_port);
    return true;
}

static bool set_token(struct bfr_cli_api *api, const char *token)
{
    char line[4096];
    if (token == NULL || token[0] == '\0')
        return true;
    int size = snprintf(line, sizeof line, "Authorization: Bearer %s", token);
    struct curl_slist *list = size < 0 || (size_t)size >= sizeof line ? NULL : curl_slist_append(api->headers, line);
    memset(line, 0, sizeof line);
    if (list == NULL)
        return false;
    api->headers = list;
    return true;
}

// From the configuration: where the API is, unless that is known, and the token, unless the environment has one.
static int consult_config(const struct bfr_cli *cli, struct bfr_cli_api *api)
{
    const char *token = getenv("RECEIVER_ADMIN_TOKEN");
    struct bfr_config *config = bfr_cli_settings_read(cli);
    if (config == NULL)
        return BFR_EXIT_CONFIG;
    const struct bfr_settings *settings = bfr_config_settings(config);
    bool good = place_of(settings, api->base, sizeof api->base);
    if (good && !set_token(api, token != NULL && token[0] != '\0' ? token : settings->server.admin_token)) {
        complain("the admin token cannot be used: it is too long");
        good = false;
    }
    bfr_config_free(config);
    return good ? BFR_EXIT_OK : BFR_EXIT_FAILURE;
}

static int use_url(struct bfr_cli_api *api, const char *url)
{
    size_t length = strlen(url);
    if (strchr(url, '@') != NULL) { // what --api says is printed, and shown by top
        complain("--api takes no name or password; the token goes into RECEIVER_ADMIN_TOKEN");
        return BFR_EXIT_USAGE;
    }
    while (length > 0 && url[length - 1] == '/')
        length--;
    if (length == 0 || length >= sizeof api->base) {
        complain("--api wants a URL such as http://127.0.0.1:8081");
        return BFR_EXIT_USAGE;
    }
    memcpy(api->base, url, length);
    if (set_token(api, getenv("RECEIVER_ADMIN_TOKEN")))
        return BFR_EXIT_OK;
    complain("RECEIVER_ADMIN_TOKEN cannot be used: it is too long");
    return BFR_EXIT_FAILURE;
}

// --- asking

static long status_of(const struct bfr_cli_api *api)
{
    long status = 0;
    curl_easy_getinfo(api->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static size_t take_bytes(char *bytes, size_t one, size_t count, void *arg)
{
    struct bfr_cli_api *api = arg;
    size_t size = one * count;
    if (api->take != NULL && status_of(api) == 200)
        return api->take(api->take_arg, bytes, size) ? size : 0;
    char *grown = size > REPLY_MAX - api->reply_size ? NULL : realloc(api->reply, api->reply_size + size + 1);
    if (grown == NULL)
        return 0;
    memcpy(grown + api->reply_size, bytes, size);
    api->reply = grown;
    api->reply_size += size;
    return size;
}

static bool set_up(struct bfr_cli_api *api)
{
    const char *authorities = getenv("SSL_CERT_FILE");
    api->curl = curl_easy_init();
    api->multi = curl_multi_init();
    struct curl_slist *list = curl_slist_append(api->headers, "Content-Type: application/json");
    if (api->curl == NULL || api->multi == NULL || list == NULL)
        return false;
    api->headers = list;
    curl_easy_setopt(api->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(api->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(api->curl, CURLOPT_CONNECTTIMEOUT, 10L);
    curl_easy_setopt(api->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(api->curl, CURLOPT_HTTPHEADER, api->headers);
    curl_easy_setopt(api->curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(api->curl, CURLOPT_WRITEDATA, api);
    if (authorities != NULL && authorities[0] != '\0')
        curl_easy_setopt(api->curl, CURLOPT_CAINFO, authorities);
    return true;
}

int bfr_cli_api_open(const struct bfr_cli *cli, const char *url, struct bfr_cli_api **out)
{
    struct bfr_cli_api *api = calloc(1, sizeof *api);
    int code = BFR_EXIT_FAILURE;
    *out = NULL;
    if (api != NULL && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK && set_up(api))
        code = url != NULL ? use_url(api, url) : consult_config(cli, api);
    else
        complain("out of memory");
    if (code == BFR_EXIT_OK) {
        curl_easy_setopt(api->curl, CURLOPT_HTTPHEADER, api->headers); // the token came to it
        *out = api;
    } else {
        bfr_cli_api_close(api);
    }
    return code;
}

void bfr_cli_api_close(struct bfr_cli_api *api)
{
    if (api == NULL)
        return;
    bfr_cli_api_cancel(api);
    curl_easy_cleanup(api->curl);
    curl_multi_cleanup(api->multi);
    curl_slist_free_all(api->headers);
    curl_global_cleanup();
    free(api->reply);
    free(api);
}

char *bfr_cli_api_escape(struct bfr_cli_api *api, const char *text)
{
    return curl_easy_escape(api->curl, text, (int)strlen(text));
}

void bfr_cli_api_release(char *escaped)
{
    curl_free(escaped);
}

bool bfr_cli_api_select(struct bfr_cli_api *api, const char *place, const char *tenant, const char *dataset, char *out,
                        size_t room)
{
    char *tenant_text = bfr_cli_api_escape(api, tenant != NULL ? tenant : "*");
    char *dataset_text = bfr_cli_api_escape(api, dataset != NULL ? dataset : "*");
    bool good = tenant_text != NULL && dataset_text != NULL &&
                snprintf(out, room, "%stenant_id=%s&dataset_id=%s", place, tenant_text, dataset_text) < (int)room;
    bfr_cli_api_release(tenant_text);
    bfr_cli_api_release(dataset_text);
    return good;
}

// --- one request

static bool begin(struct bfr_cli_api *api, const char *path, const char *body)
{
    char url[4096];
    bfr_cli_api_cancel(api);
    if (snprintf(url, sizeof url, "%s%s", api->base, path) >= (int)sizeof url)
        return false;
    api->reply_size = 0;
    api->ended = CURLE_OK;
    curl_easy_setopt(api->curl, CURLOPT_URL, url);
    if (body != NULL)
        curl_easy_setopt(api->curl, CURLOPT_COPYPOSTFIELDS, body);
    else
        curl_easy_setopt(api->curl, CURLOPT_HTTPGET, 1L);
    api->under_way = curl_multi_add_handle(api->multi, api->curl) == CURLM_OK;
    return api->under_way;
}

bool bfr_cli_api_begin(struct bfr_cli_api *api, const char *path, bfr_cli_api_take *take, void *arg)
{
    api->take = take;
    api->take_arg = arg;
    return begin(api, path, NULL);
}

void bfr_cli_api_cancel(struct bfr_cli_api *api)
{
    if (api->under_way)
        curl_multi_remove_handle(api->multi, api->curl);
    api->under_way = false;
}

// Let curl do what it can; has the request ended?
static bool turn(struct bfr_cli_api *api)
{
    int running = 0, left = 0;
    CURLMcode result = curl_multi_perform(api->multi, &running);
    const CURLMsg *message = curl_multi_info_read(api->multi, &left);
    if (result == CURLM_OK && (message == NULL || message->msg != CURLMSG_DONE))
        return false;
    api->ended = result == CURLM_OK ? message->data.result : CURLE_OUT_OF_MEMORY;
    bfr_cli_api_cancel(api);
    return true;
}

#define FDS_MAX 4

bool bfr_cli_api_wait(struct bfr_cli_api *api, struct pollfd *fds, size_t count, int timeout_ms)
{
    struct curl_waitfd others[FDS_MAX];
    count = count < FDS_MAX ? count : FDS_MAX;
    for (size_t i = 0; i < count; i++)
        others[i] = (struct curl_waitfd){.fd = fds[i].fd, .events = CURL_WAIT_POLLIN};
    if (api->under_way && turn(api))
        return true;
    (void)curl_multi_poll(api->multi, others, (unsigned)count, timeout_ms < 0 ? INT_MAX : timeout_ms, NULL);
    for (size_t i = 0; i < count; i++)
        fds[i].revents = others[i].revents != 0 ? POLLIN : 0;
    return !api->under_way || turn(api);
}

static json_t *read_reply(const struct bfr_cli_api *api)
{
    return api->reply_size == 0 ? NULL : json_loadb(api->reply, api->reply_size, 0, NULL);
}

static void describe_failure(const struct bfr_cli_api *api, char *error, size_t room)
{
    json_t *json = read_reply(api);
    const char *said = json_string_value(json_object_get(json, "error"));
    if (api->ended != CURLE_OK)
        snprintf(error, room, "cannot ask the daemon at %s: %s; is it running there?", api->base,
                 curl_easy_strerror(api->ended));
    else
        snprintf(error, room, "%s: http %ld: %s", api->base, status_of(api),
                 said != NULL ? said : "no API of this kind answers there");
    json_decref(json);
}

bool bfr_cli_api_complete(struct bfr_cli_api *api, char *error, size_t room)
{
    bool complete = api->ended == CURLE_OK && status_of(api) == 200;
    if (!complete)
        describe_failure(api, error, room);
    return complete;
}

json_t *bfr_cli_api_result(struct bfr_cli_api *api, char *error, size_t room)
{
    if (!bfr_cli_api_complete(api, error, room))
        return NULL;
    json_t *json = read_reply(api);
    if (json == NULL)
        describe_failure(api, error, room);
    return json;
}

const char *bfr_cli_api_place(const struct bfr_cli_api *api)
{
    return api->base;
}

json_t *bfr_cli_api_call(struct bfr_cli_api *api, const char *path, const json_t *body)
{
    char error[1024 + 512];
    char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);
    api->take = NULL;
    bool begun = (body == NULL || text != NULL) && begin(api, path, text);
    free(text);
    if (!begun) {
        complain("out of memory");
        return NULL;
    }
    while (!bfr_cli_api_wait(api, NULL, 0, -1))
        ;
    json_t *json = bfr_cli_api_result(api, error, sizeof error);
    if (json == NULL)
        complain("%s", error);
    return json;
}
