// SPDX-License-Identifier: Apache-2.0
// YAML that is wrong, or that a configuration has no use for: the exact place and words of every finding.
#include "config_cases.h"

#define PIPELINE "pipeline: [{plugin: fake, place: p}]\n"

static const struct config_case cases[] = {
    {"a list at the top",
     "- a\n"
     "- b\n",
     "1:1: error: found a list; a configuration is a mapping of keys, such as 'pipeline:'\n"},
    {"a single word at the top", "hello\n",
     "1:1: error: found a single value; a configuration is a mapping of keys, such as 'pipeline:'\n"},
    {"a tab as indentation",
     "webhook:\n"
     "\tport: 1\n" PIPELINE,
     "2:1: error: a tab cannot indent; use spaces\n"},
    {"a tab before a list entry",
     "pipeline:\n"
     "\t- {plugin: fake, place: p}\n",
     "2:1: error: a tab cannot indent; use spaces\n"},
    {"bytes that are not UTF-8", PIPELINE "app: {name: \"caf\351\"}\n",
     "2:17: error: this byte (0xe9) is not valid UTF-8; save the file as UTF-8\n"},
    {"a control character", PIPELINE "app: {name: \"a\001b\"}\n", "2:15: error: a control character; remove it\n"},
    {"UTF-16", "\377\376a\000\n", "1:1: error: this byte (0xff) is not valid UTF-8; save the file as UTF-8\n"},
    {"a NUL escape in a text", PIPELINE "app: {name: \"a\\0b\"}\n",
     "2:13: error: the text holds a NUL character (\\0); remove it\n"},
    {"a quote that is not closed",
     PIPELINE "app:\n"
              "  name: \"receiver\n",
     "3:9: error: the quoted text that begins here has no closing quote\n"},
    {"a list that is not closed",
     "webhook:\n"
     "  bind: [\"::\", 0.0.0.0\n"
     "server: {api_port: 1}\n" PIPELINE,
     "3:7: error: a ',' or the closing ']' of a list is missing before this (it began on line 2)\n"},
    {"a mapping that is not closed", "webhook: {port: 8080\n" PIPELINE,
     "2:9: error: a ',' or the closing '}' of a mapping is missing before this (it began on line 1)\n"},
    {"a colon in a plain text",
     PIPELINE "app:\n"
              "  name: a: b\n",
     "3:10: error: a ':' is out of place here; check the indentation, or quote a value that holds ': '\n"},
    {"keys that do not line up",
     "webhook:\n"
     "    port: 1\n"
     "  threads: 2\n" PIPELINE,
     "3:3: error: this does not line up with the keys above; give all keys of one mapping the same indentation (it "
     "began on line 1)\n"},
    {"list entries that do not line up",
     "pipeline:\n"
     "  - plugin: fake\n"
     "    place: p\n"
     " - plugin: fake\n",
     "4:2: error: this does not line up with the keys above; give all keys of one mapping the same indentation (it "
     "began on line 1)\n"},
    {"a key without a colon",
     "webhook:\n"
     "  port: 1\n"
     "server\n" PIPELINE,
     "3:1: error: a key begins here but has no ':' behind it; write 'key: value'\n"},
    {"a list entry beside its key", "pipeline: - plugin: fake\n",
     "1:11: error: a list entry ('- ') is out of place here; begin the list on a line of its own\n"},
    {"an unknown escape", PIPELINE "plugin_dir: \"C:\\plugins\"\n",
     "2:16: error: unknown escape; write \\\\ for a backslash, or use single quotes\n"},
    {"a value that begins with an at sign", PIPELINE "app: {name: @home}\n",
     "2:13: error: a value cannot begin with '@'; put it in quotes\n"},
    {"a value that begins with a percent sign",
     PIPELINE "app:\n"
              "  name: %d\n",
     "3:9: error: a value cannot begin with '%'; put it in quotes\n"},
    {"an anchor",
     "webhook: &hook\n"
     "  port: 1\n" PIPELINE,
     "1:10: error: anchors are not supported; remove '&hook' and write the value out where it is used\n"},
    {"an alias",
     "app: {name: &n x}\n"
     "logging: {level: *n}\n" PIPELINE,
     "1:13: error: anchors are not supported; remove '&n' and write the value out where it is used\n"
     "2:18: error: aliases ('*name') are not supported; write the value out, or quote a text that begins with '*'\n"},
    {"a merge key",
     "webhook:\n"
     "  <<: {port: 1}\n" PIPELINE,
     "2:3: error: merge keys ('<<') are not supported; write the keys out\n"},
    {"a tag", PIPELINE "webhook: {port: !!int 8080}\n",
     "2:17: error: tags are not supported; remove 'tag:yaml.org,2002:int' and write the plain value\n"},
    {"a second document", PIPELINE "---\n" PIPELINE,
     "2:1: error: a second document begins here; a configuration is one document, so remove the '---'\n"},
    {"text after the end of the document",
     PIPELINE "...\n"
              "ack: disk\n",
     "3:1: error: text after the end of the document; a configuration is one mapping of keys\n"},
    {"a duplicate key at the top", "ack: disk\n" PIPELINE "ack: sink\n",
     "3:1: error: duplicate key 'ack'; it is given already on line 1; remove one\n"},
    {"a duplicate key in a section",
     "webhook:\n"
     "  port: 1\n"
     "  threads: 2\n"
     "  port: 3\n" PIPELINE,
     "4:3: error: duplicate key 'port'; it is given already on line 2; remove one\n"},
    {"a duplicate section", "webhook: {port: 1}\n" PIPELINE "webhook: {threads: 2}\n",
     "3:1: error: duplicate key 'webhook'; it is given already on line 1; remove one\n"},
    {"a key that is a list",
     PIPELINE "? [a, b]\n"
              ": c\n",
     "2:3: error: a key must be a single word, found a list; write 'key: value'\n"},
    {"a line with two mistakes", "webhook: {prot: 1, port: x}\n" PIPELINE,
     "1:11: error: webhook: unknown key 'prot'; did you mean 'port'?\n"
     "1:26: error: webhook.port: 'x' is not a whole number; write a whole number from 0 to 65535, for example 8080\n"},
};

int main(void)
{
    return run_cases("config errors yaml", cases, sizeof cases / sizeof cases[0]);
}
