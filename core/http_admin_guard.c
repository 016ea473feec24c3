// SPDX-License-Identifier: Apache-2.0
// The guard of the API. Three things are kept out: strangers (token, or address of the peer), web pages that make a browser on
// this machine ask for them (Origin, Sec-Fetch-Site), and names that an attacker's DNS server points at this machine (Host).
// Runs on the admin thread; keeps nothing, says nothing of the token.
#include "http_admin_guard.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#define ALLOW ((struct bfr_admin_verdict){0, NULL})

static struct bfr_admin_verdict refuse(int status, const char *error)
{
    return (struct bfr_admin_verdict){status, error};
}

// Digests are compared, so that neither length nor content of the right token shows in the time.
static bool is_token(const char *given, const char *token)
{
    unsigned char left[SHA256_DIGEST_LENGTH], right[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)given, strlen(given), left);
    SHA256((const unsigned char *)token, strlen(token), right);
    return CRYPTO_memcmp(left, right, sizeof left) == 0;
}

static bool has_token(const char *authorization, const char *token)
{
    static const char scheme[] = "bearer ";
    if (authorization == NULL || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return false;
    authorization += sizeof scheme - 1;
    return is_token(authorization + strspn(authorization, " "), token);
}

static bool is_loopback(const struct bfr_admin_claim *claim)
{
    static const uint8_t v6[16] = {[15] = 1}, v4[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};
    return claim->peer_known && (memcmp(claim->peer, v6, sizeof v6) == 0 || memcmp(claim->peer, v4, sizeof v4) == 0);
}

// Nothing, or a port.
static bool is_port(const char *text)
{
    return text[0] == '\0' || (text[0] == ':' && text[1 + strspn(text + 1, "0123456789")] == '\0');
}

// The name in a Host header, without the port and without the brackets of an IPv6 address. False: it is too long, or what
// stands behind it is no port.
static bool host_name(const char *host, char *out, size_t room)
{
    bool bracketed = host[0] == '[';
    size_t length = bracketed ? strcspn(++host, "]") : strcspn(host, ":");
    if (length >= room || (bracketed && host[length] != ']') || !is_port(host + length + (bracketed ? 1 : 0)))
        return false;
    memcpy(out, host, length);
    out[length] = '\0';
    return true;
}

// An address, or the one name that no DNS server answers for (RFC 6761 section 6.3).
static bool is_fixed_host(const char *host)
{
    char name[64];
    uint8_t address[16];
    if (host == NULL)
        return true; // HTTP/1.0, which no browser speaks
    if (!host_name(host, name, sizeof name))
        return false;
    return strcasecmp(name, "localhost") == 0 || inet_pton(AF_INET, name, address) == 1 ||
           inet_pton(AF_INET6, name, address) == 1;
}

// "http://host:port" is where the page came from; it must be the one that is asked. "null" is no place at all.
static bool is_own_origin(const char *origin, const char *host)
{
    const char *place = strstr(origin, "://");
    return place != NULL && host != NULL && strcasecmp(place + 3, host) == 0;
}

static bool is_cross_site(const struct bfr_admin_claim *claim)
{
    if (claim->fetch_site != NULL && strcasecmp(claim->fetch_site, "same-origin") != 0 &&
        strcasecmp(claim->fetch_site, "none") != 0)
        return true;
    return claim->origin != NULL && !is_own_origin(claim->origin, claim->host);
}

// What a form of a web page can send without being asked beforehand is never JSON.
static bool is_json(const char *content_type)
{
    static const char json[] = "application/json";
    size_t length = sizeof json - 1;
    if (content_type == NULL)
        return true;
    return strncasecmp(content_type, json, length) == 0 && strchr("; \t", content_type[length]) != NULL;
}

struct bfr_admin_verdict bfr_admin_guard(const char *token, const struct bfr_admin_claim *claim)
{
    if (token[0] != '\0' && !has_token(claim->authorization, token))
        return refuse(401, "this page needs the token of server.admin_token: Authorization: Bearer TOKEN");
    if (token[0] == '\0' && !is_loopback(claim))
        return refuse(403, "without server.admin_token this page is for clients on this machine alone; set one");
    if (token[0] == '\0' && !is_fixed_host(claim->host))
        return refuse(403, "without server.admin_token ask for localhost or an address, not for another name");
    if (claim->changes && is_cross_site(claim))
        return refuse(403, "a page of another site may not change anything here");
    if (claim->changes && claim->has_body && !is_json(claim->content_type))
        return refuse(415, "the body must be JSON: Content-Type: application/json");
    return ALLOW;
}
