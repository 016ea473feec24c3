// SPDX-License-Identifier: Apache-2.0
// See s3_options.h.
#include "s3_options.h"

#include <string.h>

#include <bfr/text.h>

#include "s3_request.h"

const struct bfr_option bfr_s3_option_table[S3_OPTION_COUNT] = {
    {.name = "bucket_name",
     .type = BFR_OPTION_STRING,
     .flags = BFR_OPTION_REQUIRED,
     .help = "bucket that the objects {tenant}/{dataset}/{filename} are put into"},
    {.name = "region", .type = BFR_OPTION_STRING, .fallback = "us-east-1", .help = "region of the bucket"},
    {.name = "endpoint",
     .type = BFR_OPTION_STRING,
     .fallback = "",
     .help = "host, host:port or http(s)://host:port of the store; empty: AWS in that region"},
    {.name = "ssl",
     .type = BFR_OPTION_BOOL,
     .fallback = "false",
     .help = "use TLS with an endpoint that names no scheme; AWS always uses it"},
    {.name = "use_iam_role",
     .type = BFR_OPTION_BOOL,
     .fallback = "false",
     .help = "find credentials as AWS's own clients do, when access_key is empty"},
    {.name = "access_key",
     .type = BFR_OPTION_STRING,
     .flags = BFR_OPTION_SECRET, // an id, but half of what a thief needs: shown nowhere either
     .fallback = "",
     .help = "id of the access key"},
    {.name = "secret_key",
     .type = BFR_OPTION_STRING,
     .flags = BFR_OPTION_SECRET,
     .fallback = "",
     .help = "secret of the access key"},
    {.name = "session_token",
     .type = BFR_OPTION_STRING,
     .flags = BFR_OPTION_SECRET,
     .fallback = "",
     .help = "token that belongs to a temporary access key"},
    {.name = "aws_access_key_id",
     .type = BFR_OPTION_STRING,
     .flags = BFR_OPTION_SECRET,
     .fallback = "${AWS_ACCESS_KEY_ID:-}",
     .help = "with use_iam_role, the first place to look: the environment's own key"},
    {.name = "aws_secret_access_key",
     .type = BFR_OPTION_STRING,
     .flags = BFR_OPTION_SECRET,
     .fallback = "${AWS_SECRET_ACCESS_KEY:-}",
     .help = "the secret of that key"},
    {.name = "aws_session_token",
     .type = BFR_OPTION_STRING,
     .flags = BFR_OPTION_SECRET,
     .fallback = "${AWS_SESSION_TOKEN:-}",
     .help = "the token of that key, when it is temporary"},
    {.name = "profile",
     .type = BFR_OPTION_STRING,
     .fallback = "${AWS_PROFILE:-}",
     .help = "section of the credentials file; empty: default"},
    {.name = "credentials_file",
     .type = BFR_OPTION_PATH,
     .fallback = "${AWS_SHARED_CREDENTIALS_FILE:-}",
     .help = "shared credentials file; empty: the service user's ~/.aws/credentials"},
    {.name = "web_identity_token_file",
     .type = BFR_OPTION_PATH,
     .fallback = "${AWS_WEB_IDENTITY_TOKEN_FILE:-}",
     .help = "token of a web identity"},
    {.name = "role_arn",
     .type = BFR_OPTION_STRING,
     .fallback = "${AWS_ROLE_ARN:-}",
     .help = "role that the web identity takes"},
    {.name = "role_session_name",
     .type = BFR_OPTION_STRING,
     .fallback = "${AWS_ROLE_SESSION_NAME:-bytefreezer-receiver}",
     .help = "name of the session with that role"},
    {.name = "container_credentials_uri",
     .type = BFR_OPTION_STRING,
     .fallback = "${AWS_CONTAINER_CREDENTIALS_RELATIVE_URI:-}",
     .help = "where the container platform gives credentials: a URL, or a path on the address of ECS"},
    {.name = "container_credentials_full_uri",
     .type = BFR_OPTION_STRING,
     .fallback = "${AWS_CONTAINER_CREDENTIALS_FULL_URI:-}",
     .help = "the same, when container_credentials_uri is empty, as it is on EKS"},
    {.name = "container_authorization",
     .type = BFR_OPTION_STRING,
     .flags = BFR_OPTION_SECRET,
     .fallback = "${AWS_CONTAINER_AUTHORIZATION_TOKEN:-}",
     .help = "what to send as Authorization there"},
    {.name = "container_authorization_token_file",
     .type = BFR_OPTION_PATH,
     .fallback = "${AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE:-}",
     .help = "a file with it, read anew each time"},
    {.name = "metadata_endpoint",
     .type = BFR_OPTION_STRING,
     .fallback = "${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}",
     .help = "the machine's metadata service; empty: do not ask it"},
    {.name = "sts_endpoint",
     .type = BFR_OPTION_STRING,
     .fallback = "",
     .help = "URL of the service that exchanges web identities; empty: AWS in that region"},
    {.name = "path_style",
     .type = BFR_OPTION_BOOL,
     .help = "bucket in the path of the URL, not in its host name; unset: with an endpoint yes, on AWS no"},
    {.name = "storage_class", .type = BFR_OPTION_STRING, .fallback = "", .help = "x-amz-storage-class of the objects"},
    {.name = "sse",
     .type = BFR_OPTION_STRING,
     .fallback = "none",
     .choices = "none|AES256|aws:kms|aws:kms:dsse",
     .help = "encryption at rest that is asked for"},
    {.name = "kms_key_id",
     .type = BFR_OPTION_STRING,
     .fallback = "",
     .help = "key of the key service, with sse aws:kms; empty: the account's default"},
    {.name = "tags", .type = BFR_OPTION_MAP, .help = "tags of the objects, at most 10"},
    {.name = "ca_file", .type = BFR_OPTION_PATH, .help = "certificates to trust (PEM) instead of the system's"},
    {.name = "proxy",
     .type = BFR_OPTION_STRING,
     .flags = BFR_OPTION_SECRET,
     .fallback = "",
     .help = "URL of an HTTP proxy"},
    {.name = "create_bucket",
     .type = BFR_OPTION_BOOL,
     .fallback = "false",
     .help = "create the bucket when it is missing"},
    {.name = "upload_worker_count",
     .type = BFR_OPTION_INTEGER,
     .fallback = "10",
     .min = "1",
     .max = "256",
     .help = "uploads at once, at most"},
    {.name = "connect_timeout",
     .type = BFR_OPTION_DURATION,
     .fallback = "5s",
     .min = "100ms",
     .max = "10m",
     .help = "for name, connection and TLS"},
    {.name = "stall_timeout",
     .type = BFR_OPTION_DURATION,
     .fallback = "20s",
     .min = "1s",
     .max = "10m",
     .help = "an upload with no byte either way for so long is given up"},
    {.name = "request_timeout",
     .type = BFR_OPTION_DURATION,
     .fallback = "120s",
     .min = "1s",
     .max = "1h",
     .help = "for one request as a whole"},
};

// A header's value cannot hold these; said here with the option's name, not later by a store.
static uint32_t check_texts(const struct bfr_host *host, struct bfr_err *err)
{
    for (uint32_t i = 0; i < S3_OPTION_COUNT; i++) {
        const struct bfr_option *option = &bfr_s3_option_table[i];
        if (option->type != BFR_OPTION_STRING)
            continue;
        for (const char *at = host->config_string(host, option->name); *at != '\0'; at++)
            if ((unsigned char)*at <= 0x20 || (unsigned char)*at > 0x7E)
                return bfr_err_set(err, BFR_EINVAL, "%s holds a blank or a character that is not ASCII; remove it",
                                   option->name);
    }
    return BFR_OK;
}

static uint32_t check_keys(const struct s3_options *options, struct bfr_err *err)
{
    bool access = options->access_key[0] != '\0';
    bool secret = options->secret_key[0] != '\0';

    if (access != secret)
        return bfr_err_set(err, BFR_EINVAL, "%s is given without %s; give both, or neither with use_iam_role",
                           access ? "access_key" : "secret_key", access ? "secret_key" : "access_key");
    if (!access && !options->use_iam_role)
        return bfr_err_set(err, BFR_EINVAL, "no credentials; give access_key and secret_key, or set use_iam_role");
    if (options->session_token[0] != '\0' && !access)
        return bfr_err_set(err, BFR_EINVAL, "session_token is given without access_key and secret_key; give all three");
    return BFR_OK;
}

static uint32_t check_rest(const struct s3_options *options, struct bfr_err *err)
{
    if (!bfr_s3_region_is_good(options->region))
        return bfr_err_set(err, BFR_EINVAL, "region '%s' is no name of a region; an example is us-east-1",
                           options->region);
    if (options->bucket_name[0] == '\0' || strlen(options->bucket_name) >= S3_BUCKET_SIZE - 1 ||
        strpbrk(options->bucket_name, "/\\?#") != NULL)
        return bfr_err_set(err, BFR_EINVAL,
                           "bucket_name '%s' is no name of a bucket: it is empty, too long or holds a slash; give the "
                           "bucket alone, without a path",
                           options->bucket_name);
    if (options->kms_key_id[0] != '\0' && strncmp(options->sse, "aws:kms", 7) != 0)
        return bfr_err_set(err, BFR_EINVAL, "kms_key_id is given but sse is %s; set sse to aws:kms", options->sse);
    return BFR_OK;
}

static uint32_t read_tags(const struct bfr_host *host, struct s3_options *out, struct bfr_err *err)
{
    size_t count = 0, used = 0;
    const char *const *tags = host->config_list(host, "tags", &count);

    if (count > 10)
        return bfr_err_set(err, BFR_EINVAL, "tags has %zu entries; stores take at most 10", count);
    for (size_t i = 0; i < count; i++) {
        char key[513];
        const char *equals = strchr(tags[i], '=');
        size_t length = equals == NULL ? 0 : (size_t)(equals - tags[i]);
        if (length == 0 || length >= sizeof key || used + 2 >= sizeof out->tagging)
            return bfr_err_set(err, BFR_EINVAL,
                               "tags holds an entry without a key, or is too long; keys have 1 to 128 characters");
        memcpy(key, tags[i], length);
        key[length] = '\0';
        if (i > 0)
            out->tagging[used++] = '&';
        size_t encoded = bfr_s3_encode(key, false, out->tagging + used, sizeof out->tagging - used);
        used += encoded;
        if (encoded == 0 || used + 2 >= sizeof out->tagging)
            return bfr_err_set(err, BFR_EINVAL, "tags is too long; shorten it");
        out->tagging[used++] = '=';
        encoded = bfr_s3_encode(equals + 1, false, out->tagging + used, sizeof out->tagging - used);
        used += encoded;
        if (encoded == 0 && equals[1] != '\0')
            return bfr_err_set(err, BFR_EINVAL, "tags is too long; shorten it");
    }
    out->tagging[used] = '\0';
    return BFR_OK;
}

static void read_credentials(const struct bfr_host *host, struct s3_options *out)
{
    out->use_iam_role = host->config_bool(host, "use_iam_role");
    out->access_key = host->config_string(host, "access_key");
    out->secret_key = host->config_string(host, "secret_key");
    out->session_token = host->config_string(host, "session_token");
    const char *key = host->config_string(host, "aws_access_key_id");
    if (out->use_iam_role && out->access_key[0] == '\0' && out->secret_key[0] == '\0' && key[0] != '\0') {
        out->access_key = key;
        out->secret_key = host->config_string(host, "aws_secret_access_key");
        out->session_token = host->config_string(host, "aws_session_token");
    }
    out->profile = host->config_string(host, "profile");
    out->credentials_file = host->config_string(host, "credentials_file");
    out->web_identity_token_file = host->config_string(host, "web_identity_token_file");
    out->role_arn = host->config_string(host, "role_arn");
    out->role_session_name = host->config_string(host, "role_session_name");
    out->container_credentials_uri = host->config_string(host, "container_credentials_uri");
    if (out->container_credentials_uri[0] == '\0')
        out->container_credentials_uri = host->config_string(host, "container_credentials_full_uri");
    out->container_authorization = host->config_string(host, "container_authorization");
    out->container_authorization_file = host->config_string(host, "container_authorization_token_file");
    out->metadata_endpoint = host->config_string(host, "metadata_endpoint");
    out->sts_endpoint = host->config_string(host, "sts_endpoint");
}

uint32_t bfr_s3_options_read(const struct bfr_host *host, struct s3_options *out, struct bfr_err *err)
{
    *out = (struct s3_options){
        .bucket_name = host->config_string(host, "bucket_name"),
        .region = host->config_string(host, "region"),
        .endpoint = host->config_string(host, "endpoint"),
        .ssl = host->config_bool(host, "ssl"),
        .path_style = !host->config_has(host, "path_style") ? -1 : host->config_bool(host, "path_style"),
        .storage_class = host->config_string(host, "storage_class"),
        .sse = host->config_string(host, "sse"),
        .kms_key_id = host->config_string(host, "kms_key_id"),
        .ca_file = host->config_string(host, "ca_file"),
        .proxy = host->config_string(host, "proxy"),
        .create_bucket = host->config_bool(host, "create_bucket"),
        .workers = (uint32_t)host->config_integer(host, "upload_worker_count"),
        .connect_timeout_ms = (uint32_t)host->config_integer(host, "connect_timeout"),
        .stall_timeout_ms = (uint32_t)host->config_integer(host, "stall_timeout"),
        .request_timeout_ms = (uint32_t)host->config_integer(host, "request_timeout"),
    };
    read_credentials(host, out);
    uint32_t status = check_texts(host, err);
    if (status == BFR_OK)
        status = check_keys(out, err);
    if (status == BFR_OK)
        status = check_rest(out, err);
    return status == BFR_OK ? read_tags(host, out, err) : status;
}
