// SPDX-License-Identifier: Apache-2.0
// See s3_keys.h.
#include "s3_keys.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <jansson.h>
#include <openssl/crypto.h>

void bfr_s3_keys_clear(struct s3_keys *keys)
{
    OPENSSL_cleanse(keys, sizeof *keys);
}

// Printable ASCII without blanks: it goes into headers.
static bool copy_key(char *out, size_t room, const char *text)
{
    size_t length = text == NULL ? 0 : strlen(text);

    if (length >= room)
        return false;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] <= 0x20 || (unsigned char)text[i] > 0x7E)
            return false;
    memcpy(out, text == NULL ? "" : text, length);
    out[length] = '\0';
    return true;
}

bool bfr_s3_keys_set(struct s3_keys *keys, const char *access_key, const char *secret_key, const char *session_token,
                     int64_t expires_ns)
{
    keys->expires_ns = expires_ns;
    return copy_key(keys->access_key, sizeof keys->access_key, access_key) &&
           copy_key(keys->secret_key, sizeof keys->secret_key, secret_key) &&
           copy_key(keys->session_token, sizeof keys->session_token, session_token);
}

bool bfr_s3_keys_read_time(const char *text, int64_t *out_ns)
{
    struct tm utc = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &utc);

    if (end == NULL)
        return false;
    if (*end == '.')
        end += 1 + strspn(end + 1, "0123456789");
    if (strcmp(end, "Z") != 0 && strcmp(end, "+00:00") != 0)
        return false;
    // Some stores say "year 9999" for never. Nanoseconds end in 2262, and what lies before 1970 has expired all the same.
    int64_t seconds = timegm(&utc);
    *out_ns = seconds < 0 ? 0 : seconds > INT64_MAX / 1000000000 ? INT64_MAX : seconds * 1000000000;
    return true;
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

bool bfr_s3_keys_read_json(struct s3_keys *keys, const uint8_t *text, size_t size)
{
    json_t *object = json_loadb((const char *)text, size, 0, NULL);
    const char *access_key = text_of(object, "AccessKeyId");
    const char *secret_key = text_of(object, "SecretAccessKey");
    const char *expiration = text_of(object, "Expiration");
    int64_t expires_ns = INT64_MAX;
    bool ok = access_key != NULL && access_key[0] != '\0' && secret_key != NULL && secret_key[0] != '\0' &&
              (expiration == NULL || bfr_s3_keys_read_time(expiration, &expires_ns)) &&
              bfr_s3_keys_set(keys, access_key, secret_key, text_of(object, "Token"), expires_ns);

    json_decref(object);
    if (!ok)
        bfr_s3_keys_clear(keys);
    return ok;
}
