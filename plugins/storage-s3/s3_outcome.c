// SPDX-License-Identifier: Apache-2.0
// See s3_outcome.h. How the rows were chosen: an outage is what every other batch would meet as well (the store is away,
// slow, refuses our keys, our bucket or our settings), and the host waits for its end without charging anybody. A refusal is
// what can never change for this one batch. What is neither is tried again and charged, so that a person sees it in the end.
#include "s3_outcome.h"

#include <string.h>

#define OUTAGE(code, action, way_out)                                                                                  \
    {                                                                                                                  \
        code, 0, BFR_RETRY, BFR_OUTAGE, action, way_out                                                                \
    }
#define RETRY(code, action, way_out)                                                                                   \
    {                                                                                                                  \
        code, 0, BFR_RETRY, 0, action, way_out                                                                         \
    }
#define REJECT(code, way_out)                                                                                          \
    {                                                                                                                  \
        code, 0, BFR_REJECT, 0, S3_ACTION_REPORT, way_out                                                              \
    }
#define BY_STATUS(status, outcome, flags, action, way_out)                                                             \
    {                                                                                                                  \
        NULL, status, outcome, flags, action, way_out                                                                  \
    }

static const char wait_text[] = "the store is busy or failing; it is tried again until it is back";
static const char keys_text[] = "check access_key and secret_key, or the role";
static const char rights_text[] = "allow s3:PutObject and s3:GetObject on the bucket's objects";
static const char bucket_text[] = "create the bucket, or set create_bucket, or correct bucket_name";
static const char region_text[] = "set region to the bucket's";
static const char clock_text[] = "set this machine's clock right";
static const char damage_text[] = "the bytes changed on their way; check memory, network and proxies";
static const char name_text[] = "the store cannot keep an object of this name";
static const char settings_text[] = "check storage_class, sse, kms_key_id and tags";
static const char header_text[] =
    "the store does not know a header of the request; check storage_class, sse, kms_key_id and tags";
static const char endpoint_text[] = "check endpoint, ssl and proxy: this does not answer like an S3 store";

static const struct s3_meaning meanings[] = {
    // Something stands there, or is being put there at this moment.
    {"PreconditionFailed", 0, BFR_RETRY, 0, S3_ACTION_COMPARE, "see what stands under the key"},
    RETRY("ConditionalRequestConflict", S3_ACTION_REPORT, "two puts of one key met; it is tried again"),
    RETRY("OperationAborted", S3_ACTION_REPORT, "two operations on one object met; it is tried again"),

    // The store is away or slow.
    OUTAGE("SlowDown", S3_ACTION_REPORT, wait_text),
    OUTAGE("ServiceUnavailable", S3_ACTION_REPORT, wait_text),
    OUTAGE("InternalError", S3_ACTION_REPORT, wait_text),
    OUTAGE("RequestTimeout", S3_ACTION_REPORT, wait_text),
    OUTAGE("RequestLimitExceeded", S3_ACTION_REPORT, wait_text),
    OUTAGE("Throttling", S3_ACTION_REPORT, wait_text),
    OUTAGE("ThrottlingException", S3_ACTION_REPORT, wait_text),
    OUTAGE("TooManyRequests", S3_ACTION_REPORT, wait_text),
    OUTAGE("BandwidthLimitExceeded", S3_ACTION_REPORT, wait_text),
    OUTAGE("QuotaExceeded", S3_ACTION_REPORT, "free space in the bucket or raise its quota"),
    OUTAGE("XMinioStorageFull", S3_ACTION_REPORT, "free space in the store"),
    OUTAGE("XMinioServerNotInitialized", S3_ACTION_REPORT, wait_text),

    // Our keys and rights.
    OUTAGE("ExpiredToken", S3_ACTION_CREDENTIALS, keys_text),
    OUTAGE("ExpiredTokenException", S3_ACTION_CREDENTIALS, keys_text),
    OUTAGE("TokenRefreshRequired", S3_ACTION_CREDENTIALS, keys_text),
    OUTAGE("InvalidToken", S3_ACTION_CREDENTIALS, keys_text),
    OUTAGE("InvalidAccessKeyId", S3_ACTION_CREDENTIALS, keys_text),
    OUTAGE("SignatureDoesNotMatch", S3_ACTION_DENIED, keys_text),
    OUTAGE("AccessDenied", S3_ACTION_DENIED, rights_text),
    OUTAGE("AllAccessDisabled", S3_ACTION_REPORT, rights_text),
    OUTAGE("AccountProblem", S3_ACTION_REPORT, "ask the store's provider about the account"),
    OUTAGE("NotSignedUp", S3_ACTION_REPORT, "ask the store's provider about the account"),
    OUTAGE("UserSuspended", S3_ACTION_REPORT, "ask the store's provider about the account"),
    OUTAGE("RequestTimeTooSkewed", S3_ACTION_CLOCK, clock_text),
    OUTAGE("RequestExpired", S3_ACTION_CLOCK, clock_text),

    // The bucket and where it is.
    OUTAGE("NoSuchBucket", S3_ACTION_BUCKET, bucket_text),
    OUTAGE("InvalidBucketName", S3_ACTION_REPORT, "correct bucket_name"),
    OUTAGE("InvalidBucketState", S3_ACTION_REPORT, "check the bucket's state with the store's provider"),
    OUTAGE("PermanentRedirect", S3_ACTION_REGION, region_text),
    OUTAGE("TemporaryRedirect", S3_ACTION_REGION, region_text),
    OUTAGE("AuthorizationHeaderMalformed", S3_ACTION_REGION, region_text),
    OUTAGE("IllegalLocationConstraintException", S3_ACTION_REGION, region_text),
    OUTAGE("MethodNotAllowed", S3_ACTION_REPORT, endpoint_text),

    // Settings that hold for every batch.
    OUTAGE("InvalidStorageClass", S3_ACTION_REPORT, settings_text),
    OUTAGE("InvalidEncryptionAlgorithmError", S3_ACTION_REPORT, settings_text),
    OUTAGE("InvalidTag", S3_ACTION_REPORT, settings_text),
    OUTAGE("ServerSideEncryptionConfigurationNotFoundError", S3_ACTION_REPORT, settings_text),
    OUTAGE("KMS.NotFoundException", S3_ACTION_REPORT, settings_text),
    OUTAGE("KMS.DisabledException", S3_ACTION_REPORT, settings_text),
    OUTAGE("KMS.KMSInvalidStateException", S3_ACTION_REPORT, settings_text),
    OUTAGE("KMS.ThrottlingException", S3_ACTION_REPORT, wait_text),
    OUTAGE("NotImplemented", S3_ACTION_UNCONDITIONAL, header_text),

    // The bytes.
    RETRY("XAmzContentSHA256Mismatch", S3_ACTION_DAMAGE, damage_text),
    RETRY("BadDigest", S3_ACTION_DAMAGE, damage_text),
    RETRY("InvalidDigest", S3_ACTION_DAMAGE, damage_text),
    OUTAGE("IncompleteBody", S3_ACTION_REPORT, "the upload was cut short; it is tried again"),

    // This batch, for ever.
    REJECT("EntityTooLarge", "lower webhook.max_payload_size to what the store takes"),
    REJECT("KeyTooLongError", name_text),
    REJECT("KeyTooLong", name_text),
    REJECT("InvalidURI", name_text),
    REJECT("InvalidObjectName", name_text),
    REJECT("XMinioInvalidObjectName", name_text),
    REJECT("XMinioInvalidResourceName", name_text),
    REJECT("MetadataTooLarge", name_text),

    // Without a code that is known.
    BY_STATUS(301, BFR_RETRY, BFR_OUTAGE, S3_ACTION_REGION, region_text),
    BY_STATUS(307, BFR_RETRY, BFR_OUTAGE, S3_ACTION_REGION, region_text),
    BY_STATUS(302, BFR_RETRY, BFR_OUTAGE, S3_ACTION_REPORT, endpoint_text),
    BY_STATUS(308, BFR_RETRY, BFR_OUTAGE, S3_ACTION_REPORT, endpoint_text),
    BY_STATUS(401, BFR_RETRY, BFR_OUTAGE, S3_ACTION_CREDENTIALS, keys_text),
    BY_STATUS(403, BFR_RETRY, BFR_OUTAGE, S3_ACTION_DENIED, rights_text),
    BY_STATUS(404, BFR_RETRY, BFR_OUTAGE, S3_ACTION_BUCKET, bucket_text),
    BY_STATUS(405, BFR_RETRY, BFR_OUTAGE, S3_ACTION_REPORT, endpoint_text),
    BY_STATUS(407, BFR_RETRY, BFR_OUTAGE, S3_ACTION_REPORT, "give the proxy's user and password in proxy"),
    BY_STATUS(408, BFR_RETRY, BFR_OUTAGE, S3_ACTION_REPORT, wait_text),
    BY_STATUS(409, BFR_RETRY, 0, S3_ACTION_REPORT, "two operations on one object met; it is tried again"),
    BY_STATUS(412, BFR_RETRY, 0, S3_ACTION_COMPARE, "see what stands under the key"),
    BY_STATUS(413, BFR_REJECT, 0, S3_ACTION_REPORT,
              "lower webhook.max_payload_size to what the store or its proxy takes"),
    BY_STATUS(414, BFR_REJECT, 0, S3_ACTION_REPORT, name_text),
    BY_STATUS(429, BFR_RETRY, BFR_OUTAGE, S3_ACTION_REPORT, wait_text),
    BY_STATUS(501, BFR_RETRY, BFR_OUTAGE, S3_ACTION_UNCONDITIONAL, header_text),
    BY_STATUS(0, BFR_RETRY, 0, S3_ACTION_REPORT, "look the code up in the store's documentation"),
};

static const struct s3_meaning failing = BY_STATUS(500, BFR_RETRY, BFR_OUTAGE, S3_ACTION_REPORT, wait_text);
// A success, or a redirect, that no S3 store gives.
static const struct s3_meaning strange = BY_STATUS(200, BFR_RETRY, BFR_OUTAGE, S3_ACTION_REPORT, endpoint_text);

const struct s3_meaning *bfr_s3_meanings(size_t *out_count)
{
    *out_count = sizeof meanings / sizeof meanings[0];
    return meanings;
}

const struct s3_meaning *bfr_s3_meaning(uint32_t status, const char *code)
{
    const struct s3_meaning *row = meanings;

    for (; row->code != NULL; row++)
        if (strcmp(row->code, code) == 0)
            return row;
    for (; row->status != 0; row++)
        if (row->status == status)
            return row;
    if (status >= 500)
        return &failing;
    return status < 400 ? &strange : row;
}
