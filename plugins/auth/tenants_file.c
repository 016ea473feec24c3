// SPDX-License-Identifier: Apache-2.0
// Opens tenants.yaml and runs libyaml over it, see tenants_file.h. What the keys mean is in tenants_node.c.
#include "tenants_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <yaml.h>

#include "findings.h"
#include "tenants_node.h"

#define FILE_BYTES_MAX (64 << 20)

static uint32_t open_file(const char *path, FILE **out, bool *out_open_to_all, struct bfr_err *err)
{
    struct stat info;
    // O_NONBLOCK: a FIFO must be refused below, not waited for.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return bfr_err_set(err, BFR_EINVAL,
                           "%s: cannot open: %s; tenants_file must name a file that the service can read", path,
                           strerror(errno));
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        close(fd);
        return bfr_err_set(err, BFR_EINVAL, "%s: not a regular file; tenants_file must name one", path);
    }
    if (info.st_size > FILE_BYTES_MAX) {
        close(fd);
        return bfr_err_set(err, BFR_EINVAL, "%s: larger than %d MiB; this cannot be a list of tenants", path,
                           FILE_BYTES_MAX >> 20);
    }
    *out_open_to_all = (info.st_mode & S_IWOTH) != 0;
    *out = fdopen(fd, "r");
    if (*out == NULL) {
        close(fd);
        return bfr_err_set(err, BFR_ENOMEM, "%s: out of memory", path);
    }
    return BFR_OK;
}

// libyaml knows two places: where it is, and of what it was in the middle.
static void add_syntax_error(const yaml_parser_t *parser, struct findings *findings)
{
    const char *problem = parser->problem != NULL ? parser->problem : "not readable as YAML";

    if (parser->error == YAML_READER_ERROR)
        bfr_findings_add(findings, 0, 0, "%s at byte %zu", problem, parser->problem_offset);
    else
        bfr_findings_add(findings, parser->problem_mark.line + 1, parser->problem_mark.column + 1, "%s", problem);
}

static bool is_short_of_memory(const yaml_parser_t *parser)
{
    return parser->error == YAML_MEMORY_ERROR;
}

static void check_end(yaml_parser_t *parser, struct findings *findings)
{
    yaml_document_t extra;

    if (!yaml_parser_load(parser, &extra)) {
        add_syntax_error(parser, findings);
        return;
    }
    const yaml_node_t *root = yaml_document_get_root_node(&extra);
    if (root != NULL)
        bfr_findings_add(findings, root->start_mark.line + 1, root->start_mark.column + 1,
                         "a second YAML document; put all tenants into the first");
    yaml_document_delete(&extra);
}

static bool load(yaml_parser_t *parser, bool require_token, struct roster *roster, struct findings *findings)
{
    yaml_document_t document;

    if (!yaml_parser_load(parser, &document)) {
        if (is_short_of_memory(parser))
            return false;
        add_syntax_error(parser, findings);
        return true;
    }
    bool ok = bfr_tenants_node_read(&document, require_token, roster, findings);
    yaml_document_delete(&document);
    if (ok && findings->count == 0)
        check_end(parser, findings);
    return ok;
}

uint32_t bfr_tenants_file_read(const char *path, bool require_token, struct roster **out, bool *out_open_to_all,
                               struct bfr_err *err)
{
    struct findings findings = {.file = path};
    struct roster *roster = NULL;
    FILE *file = NULL;
    yaml_parser_t parser;

    uint32_t status = open_file(path, &file, out_open_to_all, err);
    if (status != BFR_OK)
        return status;
    if (!yaml_parser_initialize(&parser)) {
        fclose(file);
        return bfr_err_set(err, BFR_ENOMEM, "%s: out of memory", path);
    }
    yaml_parser_set_input_file(&parser, file);

    roster = bfr_roster_new();
    if (roster == NULL || !load(&parser, require_token, roster, &findings))
        status = bfr_err_set(err, BFR_ENOMEM, "%s: out of memory while reading the tenants", path);
    else if (findings.count > 0)
        status = bfr_findings_report(&findings, BFR_EINVAL, err);
    if (status == BFR_OK) {
        *out = roster;
        roster = NULL;
    }
    bfr_roster_free(roster);
    yaml_parser_delete(&parser);
    fclose(file);
    return status;
}
