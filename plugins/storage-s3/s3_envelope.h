// SPDX-License-Identifier: Apache-2.0
// The headers of an object: the batch's envelope as x-amz-meta-*, and how the options want it kept. Pure.
#ifndef BFR_S3_ENVELOPE_H
#define BFR_S3_ENVELOPE_H

#include <bfr/batch.h>

#include "s3_options.h"
#include "s3_request.h"

void bfr_s3_envelope_add(struct s3_request *request, const struct bfr_delivery *delivery, int64_t now_ns);

// Storage class, encryption and tags, each when it is given.
void bfr_s3_settings_add(struct s3_request *request, const struct s3_options *options);

// What kind of data a file name tells of: its fourth part, else its last extension before .gz, else "raw".
void bfr_s3_data_type(const struct bfr_batch *batch, char *out, size_t room);
// When the sender made the batch, by its file name's third part. False when the name does not say.
bool bfr_s3_created_ns(const struct bfr_batch *batch, int64_t *out);

#endif
