// SPDX-License-Identifier: Apache-2.0
// Keys from the shared credentials file: an INI file with a section for each profile. Of AWS's format the static keys alone
// are read; profiles that name a role, a process or a single sign-on are not for daemons. Read anew for each search, so a
// file that somebody else keeps fresh works.
#include "s3_fetch.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

#define FILE_MAX ((size_t)256 * 1024)

// ~/.aws/credentials of the user that we run as.
static bool default_path(char *out, size_t room)
{
    struct passwd entry, *found = NULL;
    char buffer[4096];

    return getpwuid_r(geteuid(), &entry, buffer, sizeof buffer, &found) == 0 && found != NULL &&
           (size_t)snprintf(out, room, "%s/.aws/credentials", found->pw_dir) < room;
}

static char *trim(char *text)
{
    text += strspn(text, " \t\r");
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t\r", text[length - 1]) != NULL)
        text[--length] = '\0';
    return text;
}

// "[name]" or "[profile name]".
static bool is_section(char *line, const char *profile)
{
    char *end = strchr(line, ']');

    if (end == NULL)
        return false;
    *end = '\0';
    char *name = trim(line + 1);
    if (strncmp(name, "profile ", 8) == 0)
        name = trim(name + 8);
    return strcmp(name, profile) == 0;
}

struct found_keys {
    const char *access_key, *secret_key, *session_token;
};

static void take(char *line, struct found_keys *found)
{
    char *equals = strchr(line, '=');

    if (equals == NULL)
        return;
    *equals = '\0';
    const char *name = trim(line);
    const char *value = trim(equals + 1);
    if (strcmp(name, "aws_access_key_id") == 0)
        found->access_key = value;
    else if (strcmp(name, "aws_secret_access_key") == 0)
        found->secret_key = value;
    else if (strcmp(name, "aws_session_token") == 0)
        found->session_token = value;
}

static bool find_profile(char *text, const char *profile, struct found_keys *found)
{
    bool inside = false;
    char *rest = NULL;

    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        char *at = trim(line);
        if (*at == '#' || *at == ';')
            continue;
        if (*at == '[')
            inside = is_section(at, profile);
        else if (inside)
            take(at, found);
    }
    return found->access_key != NULL && found->secret_key != NULL;
}

static uint32_t read_profile(struct s3_fetch *fetch, const char *path, char *text, bool named)
{
    const char *profile = fetch->options->profile[0] != '\0' ? fetch->options->profile : "default";
    struct found_keys found = {NULL, NULL, NULL};

    if (bfr_s3_fetch_read_file(path, text, FILE_MAX) < 0) {
        if (!named && (errno == ENOENT || errno == EACCES || errno == ENOTDIR))
            return S3_ABSENT;
        return bfr_s3_fetch_fail(
            fetch, "cannot read the credentials file '%s': %s; correct credentials_file or its permissions", path,
            strerror(errno));
    }
    if (!find_profile(text, profile, &found)) {
        if (!named)
            return S3_ABSENT;
        return bfr_s3_fetch_fail(fetch,
                                 "'%s' has no keys in profile [%s]; add aws_access_key_id and "
                                 "aws_secret_access_key there, or correct profile",
                                 path, profile);
    }
    if (bfr_s3_keys_set(&fetch->keys, found.access_key, found.secret_key, found.session_token, INT64_MAX))
        return S3_FOUND;
    return bfr_s3_fetch_fail(fetch, "'%s' has keys in profile [%s] that hold blanks or are too long; correct them",
                             path, profile);
}

static uint32_t begin(struct s3_fetch *fetch)
{
    const char *path = fetch->options->credentials_file;
    bool named = path[0] != '\0' || fetch->options->profile[0] != '\0';
    char home[PATH_MAX];

    if (path[0] == '\0') {
        if (!default_path(home, sizeof home))
            return S3_ABSENT;
        path = home;
    }
    char *text = malloc(FILE_MAX);
    if (text == NULL)
        return bfr_s3_fetch_fail(fetch, "out of memory");
    uint32_t found = read_profile(fetch, path, text, named);
    OPENSSL_cleanse(text, FILE_MAX);
    free(text);
    return found;
}

const struct s3_source bfr_s3_source_file = {"credentials file", begin};
