// SPDX-License-Identifier: Apache-2.0
// Rules that span several core keys, and the two that no option type can tell (addresses, threads). Pure but for the
// findings.
#include "config_core.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

#include "config_cidr.h"
#include "config_slots.h"
#include "config_value.h"

#define THREADS_MAX 64

uint32_t bfr_core_threads(const char *text)
{
    int64_t threads = 0;
    if (strcmp(text, "auto") == 0)
        return 0;
    if (bfr_value_integer(text, &threads) != NULL || threads < 1 || threads > THREADS_MAX)
        return UINT32_MAX;
    return (uint32_t)threads;
}

// Of two keys that do not fit each other, the place of the first that was given.
static struct bfr_place place_of(const struct bfr_slot *slot, const struct bfr_slot *other)
{
    return slot->given || !other->given ? slot->place : other->place;
}

static const char *wrong_address(const char *text)
{
    unsigned char address[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1)
        return NULL;
    if (strcmp(text, "localhost") == 0)
        return "is a name, not an address; write 127.0.0.1 or '::1'";
    if (strcmp(text, "*") == 0)
        return "is not an address; write 0.0.0.0 or '::' for every interface";
    if (text[0] == '[')
        return "is not an address; write it without brackets, for example '::1'";
    if (strchr(text, '%') != NULL)
        return "has a zone, which is not supported; write an address without '%'";
    return "is not an address; write an IPv4 or IPv6 address without a port, for example 127.0.0.1 or '::'";
}

static bool repeats(const struct bfr_slot *slot, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (strcmp(slot->list[i], slot->list[index]) == 0)
            return true;
    }
    return false;
}

static void check_bind(const struct bfr_values *values, const char *section, struct bfr_diag *diag)
{
    if (values == NULL)
        return;
    const struct bfr_slot *slot = bfr_values_slot(values, "bind");
    if (slot->list_count == 0)
        bfr_diag_error(diag, slot->place, "%s.bind: the list is empty; name an address, for example 0.0.0.0", section);
    for (size_t i = 0; i < slot->list_count; i++) {
        const char *wrong = wrong_address(slot->list[i]);
        if (wrong == NULL && repeats(slot, i))
            wrong = "is given twice; remove one";
        if (wrong != NULL)
            bfr_diag_error(diag, slot->place, "%s.bind: %s %s", section, bfr_quote(slot->list[i]).text, wrong);
    }
}

static void check_threads(const struct bfr_values *webhook, struct bfr_diag *diag)
{
    const struct bfr_slot *slot = webhook == NULL ? NULL : bfr_values_slot(webhook, "threads");
    if (slot != NULL && bfr_core_threads(slot->text) == UINT32_MAX)
        bfr_diag_error(diag, slot->place,
                       "webhook.threads: %s is not a number of threads; write auto, or a number from 1 to %d",
                       bfr_quote(slot->text).text, THREADS_MAX);
}

static bool is_given(const struct bfr_slot *slot)
{
    return slot->text != NULL && slot->text[0] != '\0';
}

// Certificate and key go together. What is in the files is looked at when they are loaded.
static void check_tls(const struct bfr_values *tls, const char *section, struct bfr_diag *diag)
{
    if (tls == NULL)
        return;
    const struct bfr_slot *certificate = bfr_values_slot(tls, "certificate");
    const struct bfr_slot *key = bfr_values_slot(tls, "key");
    const struct bfr_slot *client_ca = bfr_values_slot(tls, "client_ca");
    if (is_given(certificate) && !is_given(key))
        bfr_diag_error(diag, certificate->place, "%s.certificate: its private key is missing; name its file in %s.key",
                       section, section);
    if (is_given(key) && !is_given(certificate))
        bfr_diag_error(diag, key->place, "%s.key: there is no certificate for it; name its file in %s.certificate",
                       section, section);
    if (is_given(client_ca) && !is_given(certificate) && !is_given(key))
        bfr_diag_error(diag, client_ca->place,
                       "%s.client_ca: client certificates need TLS; name %s.certificate and %s.key", section, section,
                       section);
}

static void check_trusted(const struct bfr_values *proxy, struct bfr_diag *diag)
{
    if (proxy == NULL)
        return;
    const struct bfr_slot *slot = bfr_values_slot(proxy, "trusted");
    for (size_t i = 0; i < slot->list_count; i++) {
        struct bfr_cidr cidr;
        const char *wrong = bfr_cidr_parse(slot->list[i], &cidr);
        if (wrong == NULL && repeats(slot, i))
            wrong = "is given twice; remove one";
        if (wrong != NULL)
            bfr_diag_error(diag, slot->place, "webhook.proxy_protocol.trusted: %s %s", bfr_quote(slot->list[i]).text,
                           wrong);
        else if (cidr.bits == 0 || (cidr.bits == 96 && cidr.address[10] == 0xff))
            bfr_diag_warning(diag, slot->place,
                             "webhook.proxy_protocol.trusted: %s lets everyone claim any address; name your balancers",
                             bfr_quote(slot->list[i]).text);
    }
}

static void check_metrics_port(const struct bfr_values *const *sections, struct bfr_diag *diag)
{
    if (sections[BFR_CORE_METRICS] == NULL)
        return;
    const struct bfr_slot *port = bfr_values_slot(sections[BFR_CORE_METRICS], "port");
    static const struct {
        enum bfr_core_index section;
        const char *key;
        const char *title;
    } others[] = {{BFR_CORE_WEBHOOK, "port", "webhook.port"}, {BFR_CORE_SERVER, "api_port", "server.api_port"}};
    for (size_t i = 0; i < sizeof others / sizeof others[0] && port->integer != 0; i++) {
        const struct bfr_values *values = sections[others[i].section];
        const struct bfr_slot *other = values == NULL ? NULL : bfr_values_slot(values, others[i].key);
        if (other != NULL && other->integer == port->integer)
            bfr_diag_error(diag, place_of(port, other),
                           "metrics.port and %s are both %" PRId64 "; give each a port of its own", others[i].title,
                           port->integer);
    }
}

static void check_ports(const struct bfr_values *webhook, const struct bfr_values *server, struct bfr_diag *diag)
{
    if (webhook == NULL || server == NULL)
        return;
    const struct bfr_slot *api = bfr_values_slot(server, "api_port");
    const struct bfr_slot *port = bfr_values_slot(webhook, "port");
    if (port->integer == api->integer && port->integer != 0)
        bfr_diag_error(diag, place_of(api, port),
                       "server.api_port and webhook.port are both %" PRId64 "; give each a port of its own",
                       port->integer);
}

// A default that does not fit is cut silently: nobody asked for it. A number that somebody wrote is kept or refused.
static void check_payload(const struct bfr_values *webhook, const struct bfr_values *memory, struct bfr_diag *diag)
{
    if (webhook == NULL || memory == NULL)
        return;
    const struct bfr_slot *payload = bfr_values_slot(webhook, "max_payload_size");
    const struct bfr_slot *budget = bfr_values_slot(memory, "budget");
    if (payload->given && payload->integer > budget->integer / 2)
        bfr_diag_error(diag, payload->place,
                       "webhook.max_payload_size: %s is more than half of memory.budget (%s); raise the budget, lower "
                       "this limit, or write 0 for the largest that fits",
                       payload->text, budget->text);
}

static void check_retry(const struct bfr_values *retry, struct bfr_diag *diag)
{
    if (retry == NULL)
        return;
    const struct bfr_slot *initial = bfr_values_slot(retry, "initial");
    const struct bfr_slot *max = bfr_values_slot(retry, "max");
    if (initial->integer > max->integer)
        bfr_diag_error(diag, place_of(initial, max),
                       "retry.initial (%s) is longer than retry.max (%s); waits grow from the first to the second",
                       initial->text, max->text);
}

static void check_plugin_dir(const struct bfr_values *top, struct bfr_diag *diag)
{
    const struct bfr_slot *slot = top == NULL ? NULL : bfr_values_slot(top, "plugin_dir");
    if (slot != NULL && slot->text[0] == '\0')
        bfr_diag_error(diag, slot->place, "plugin_dir: is empty; name the directory of the plugins, or leave it out");
}

// What no client could send as a bearer token: only visible characters stand in one (RFC 9110, section 5.5).
static void check_admin_token(const struct bfr_values *server, struct bfr_diag *diag)
{
    if (server == NULL)
        return;
    const struct bfr_slot *slot = bfr_values_slot(server, "admin_token");
    for (const char *at = slot->text == NULL ? "" : slot->text; *at != '\0'; at++) {
        if (*at <= ' ' || *at > '~') {
            bfr_diag_error(
                diag, slot->place,
                "server.admin_token: holds a space, a control character or one beyond ASCII, which no client "
                "can send; use letters, digits and -._~+/");
            return;
        }
    }
}

void bfr_core_check(const struct bfr_values *const *sections, struct bfr_diag *diag)
{
    check_plugin_dir(sections[BFR_CORE_TOP], diag);
    check_bind(sections[BFR_CORE_WEBHOOK], "webhook", diag);
    check_bind(sections[BFR_CORE_SERVER], "server", diag);
    check_bind(sections[BFR_CORE_METRICS], "metrics", diag);
    check_tls(sections[BFR_CORE_WEBHOOK_TLS], "webhook.tls", diag);
    check_tls(sections[BFR_CORE_SERVER_TLS], "server.tls", diag);
    check_admin_token(sections[BFR_CORE_SERVER], diag);
    check_trusted(sections[BFR_CORE_WEBHOOK_PROXY], diag);
    check_metrics_port(sections, diag);
    check_threads(sections[BFR_CORE_WEBHOOK], diag);
    check_ports(sections[BFR_CORE_WEBHOOK], sections[BFR_CORE_SERVER], diag);
    check_payload(sections[BFR_CORE_WEBHOOK], sections[BFR_CORE_MEMORY], diag);
    check_retry(sections[BFR_CORE_RETRY], diag);
}
