// SPDX-License-Identifier: Apache-2.0
// See identity.h.
#include "identity.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CONTAINER_ID 12 // characters of a container's id that its host name has
#define PART_MAX     100

void bfr_identity_make(const char *hostname, bool in_container, const char *host_hostname, const char *node_name,
                       char out[IDENTITY_SIZE])
{
    char name[2 * PART_MAX + 2];
    if (in_container && host_hostname[0] != '\0')
        snprintf(name, sizeof name, "%.*s:%.*s", PART_MAX, host_hostname, CONTAINER_ID, hostname);
    else if (in_container)
        snprintf(name, sizeof name, "%.*s", CONTAINER_ID, hostname);
    else
        snprintf(name, sizeof name, "%.*s", PART_MAX, hostname);
    if (node_name[0] != '\0' && strcmp(node_name, name) != 0)
        snprintf(out, IDENTITY_SIZE, "%.*s.%.150s", PART_MAX, node_name, name);
    else
        snprintf(out, IDENTITY_SIZE, "%s", name);
    // It becomes a part of a URL.
    for (char *at = out; *at != '\0'; at++) {
        bool plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9') ||
                     strchr(".:_-", *at) != NULL;
        if (!plain)
            *at = '_';
    }
}

void bfr_identity_here(const char *host_hostname, const char *node_name, char out[IDENTITY_SIZE])
{
    char hostname[256] = "";
    if (gethostname(hostname, sizeof hostname - 1) != 0 || hostname[0] == '\0')
        snprintf(hostname, sizeof hostname, "localhost");
    bfr_identity_make(hostname, access("/.dockerenv", F_OK) == 0, host_hostname, node_name, out);
}
