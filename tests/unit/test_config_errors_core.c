// SPDX-License-Identifier: Apache-2.0
// Mistakes in the core's own keys: the exact place and words of every finding.
#include "config_cases.h"

#define PIPELINE      "pipeline: [{plugin: fake, place: p}]\n"
#define SIZE_FORM     "write bytes, or a number with KiB, MiB, GiB, TiB, KB, MB, GB or TB behind it, for example 256MiB\n"
#define DURATION_FORM "write a number with ms, s, m, h or d behind it, for example "
#define PORT_FORM     "write a whole number from 0 to 65535, for example 8080"

static const struct config_case cases[] = {
    {"an unknown key with a near name",
     "webhook:\n"
     "  prot: 8080\n" PIPELINE,
     "2:3: error: webhook: unknown key 'prot'; did you mean 'port'?\n"},
    {"an unknown key at the top with a near name", "webhok: {port: 1}\n" PIPELINE,
     "1:1: error: unknown key 'webhok'; did you mean 'webhook'?\n"},
    {"a key of a section at the top", "api_port: 8081\n" PIPELINE,
     "1:1: error: unknown key 'api_port'; it belongs under 'server:'\n"},
    {"an unknown key with no near name", "retry: {colour: red}\n" PIPELINE,
     "1:9: error: retry: unknown key 'colour'; known here: initial max attempts probe_interval\n"},
    {"a certificate without its key",
     "webhook:\n"
     "  tls: {certificate: /a}\n" PIPELINE,
     "2:22: error: webhook.tls.certificate: its private key is missing; name its file in webhook.tls.key\n"},
    {"a key without its certificate", "server: {tls: {key: /a}}\n" PIPELINE,
     "1:21: error: server.tls.key: there is no certificate for it; name its file in server.tls.certificate\n"},
    {"client certificates without TLS", "webhook: {tls: {client_ca: /a}}\n" PIPELINE,
     "1:28: error: webhook.tls.client_ca: client certificates need TLS; name webhook.tls.certificate and "
     "webhook.tls.key\n"},
    {"a tenant's quota with a misspelt key", "quotas: {tenants: {acme: {bytes_per_secnd: 1}}}\n" PIPELINE,
     "1:27: error: quotas.tenants.acme: unknown key 'bytes_per_secnd'; did you mean 'bytes_per_second'?\n"},
    {"a quota for what is no tenant", "quotas: {tenants: {a/b: {}}}\n" PIPELINE,
     "1:20: error: quotas.tenants: 'a/b' is no tenant id; those are 1 to 64 of A-Z a-z 0-9 . _ - without a leading "
     "dot\n"},
    {"a number where a tenant's rates should be", "quotas: {tenants: {acme: 5}}\n" PIPELINE,
     "1:26: error: quotas.tenants.acme: found a single value; write its rates, for example  {bytes_per_second: "
     "10MiB}\n"},
    {"a list where tenants should be", "quotas: {tenants: [acme]}\n" PIPELINE,
     "1:19: error: quotas.tenants: found a list where tenants should be; write each below it, for example  acme: "
     "{bytes_per_second: 10MiB}\n"},
    {"a misspelt tenants", "quotas: {tenant: {}}\n" PIPELINE,
     "1:10: error: quotas: unknown key 'tenant'; did you mean 'tenants'?\n"},
    {"a misspelt key in a mapping within a section", "webhook: {tls: {certificat: /a}}\n" PIPELINE,
     "1:17: error: webhook.tls: unknown key 'certificat'; did you mean 'certificate'?\n"},
    {"a misspelt mapping within a section", "webhook: {tsl: {}}\n" PIPELINE,
     "1:11: error: webhook: unknown key 'tsl'; did you mean 'tls'?\n"},
    {"a text where a mapping within a section should be", "webhook: {tls: yes}\n" PIPELINE,
     "1:16: error: webhook.tls: found a single value where its keys should be; write them below it, for example  "
     "certificate: "
     "...\n"},
    {"a trusted network that is none", "webhook: {proxy_protocol: {trusted: [balancer]}}\n" PIPELINE,
     "1:37: error: webhook.proxy_protocol.trusted: 'balancer' is not a network; write one like 10.0.0.0/8 or "
     "2001:db8::/32\n"},
    {"a trusted network with bits beyond its length", "webhook: {proxy_protocol: {trusted: 10.0.0.1/8}}\n" PIPELINE,
     "1:37: error: webhook.proxy_protocol.trusted: '10.0.0.1/8' has address bits beyond its length; clear them, or "
     "write a longer length\n"},
    {"the metrics on the port of the webhook", "metrics: {port: 8080}\n" PIPELINE,
     "1:17: error: metrics.port and webhook.port are both 8080; give each a port of its own\n"},
    {"the metrics on the port of the API", "metrics: {port: 8081}\n" PIPELINE,
     "1:17: error: metrics.port and server.api_port are both 8081; give each a port of its own\n"},
    {"swapped letters", "loggign: {level: info}\n" PIPELINE,
     "1:1: error: unknown key 'loggign'; did you mean 'logging'?\n"},
    {"a key in the wrong case", "webhook: {Port: 8080}\n" PIPELINE,
     "1:11: error: webhook: unknown key 'Port'; did you mean 'port'?\n"},
    {"a section that is a list", "webhook: [port, 8080]\n" PIPELINE,
     "1:10: error: webhook: found a list where its keys should be; write them below it, for example  bind: [0.0.0.0, "
     "'::']\n"},
    {"a section that is a single value", "logging: debug\n" PIPELINE,
     "1:10: error: logging: found a single value where its keys should be; write them below it, for example  level: "
     "info\n"},
    {"a word where a number should be", "webhook: {port: eighty}\n" PIPELINE,
     "1:17: error: webhook.port: 'eighty' is not a whole number; " PORT_FORM "\n"},
    {"a fraction where a whole number should be", "webhook: {port: 80.5}\n" PIPELINE,
     "1:17: error: webhook.port: '80.5' is not a whole number; " PORT_FORM "\n"},
    {"a hexadecimal number", "webhook: {port: 0x50}\n" PIPELINE,
     "1:17: error: webhook.port: '0x50' is not a whole number; " PORT_FORM "\n"},
    {"a number with a leading zero", "webhook: {port: 08080}\n" PIPELINE,
     "1:17: error: webhook.port: '08080' is not a whole number; " PORT_FORM "\n"},
    {"a negative port", "webhook: {port: -1}\n" PIPELINE,
     "1:17: error: webhook.port: '-1' is too small; the smallest value is 0\n"},
    {"a port that is too large",
     "webhook:\n"
     "  port: 65536\n" PIPELINE,
     "2:9: error: webhook.port: '65536' is too large; the largest value is 65535\n"},
    {"a number beyond 64 bits", "webhook: {max_connections: 99999999999999999999}\n" PIPELINE,
     "1:28: error: webhook.max_connections: '99999999999999999999' is too large to count; write a whole number from 1 "
     "to 1000000, for example 10000\n"},
    {"no connection at all", "webhook: {max_connections: 0}\n" PIPELINE,
     "1:28: error: webhook.max_connections: '0' is too small; the smallest value is 1\n"},
    {"a key without a value",
     "webhook:\n"
     "  port:\n"
     "  threads: 2\n" PIPELINE,
     "2:3: error: webhook.port: has no value; " PORT_FORM ", or leave the key out\n"},
    {"a key with null", "webhook: {port: null}\n" PIPELINE,
     "1:11: error: webhook.port: has no value; " PORT_FORM ", or leave the key out\n"},
    {"a list where a number should be", "webhook: {port: [8080, 8081]}\n" PIPELINE,
     "1:17: error: webhook.port: found a list; " PORT_FORM "\n"},
    {"a mapping where a size should be", "memory: {budget: {max: 1GiB}}\n" PIPELINE,
     "1:18: error: memory.budget: found a mapping; " SIZE_FORM},
    {"too many threads", "webhook: {threads: 65}\n" PIPELINE,
     "1:20: error: webhook.threads: '65' is not a number of threads; write auto, or a number from 1 to 64\n"},
    {"no threads", "webhook: {threads: 0}\n" PIPELINE,
     "1:20: error: webhook.threads: '0' is not a number of threads; write auto, or a number from 1 to 64\n"},
    {"threads in words", "webhook: {threads: many}\n" PIPELINE,
     "1:20: error: webhook.threads: 'many' is not a number of threads; write auto, or a number from 1 to 64\n"},
    {"a size with an unknown unit", "memory: {budget: 256 megs}\n" PIPELINE,
     "1:18: error: memory.budget: '256 megs' is not a size; " SIZE_FORM},
    {"a size in lower case", "memory: {budget: 256mib}\n" PIPELINE,
     "1:18: error: memory.budget: '256mib' is not a size; " SIZE_FORM},
    {"a fraction of a size", "memory: {budget: 0.5GiB}\n" PIPELINE,
     "1:18: error: memory.budget: '0.5GiB' is not a size; " SIZE_FORM},
    {"a negative size", "memory: {budget: -1}\n" PIPELINE,
     "1:18: error: memory.budget: '-1' is not a size; " SIZE_FORM},
    {"a size that overflows", "memory: {budget: 9999999TiB}\n" PIPELINE,
     "1:18: error: memory.budget: '9999999TiB' is too large to count; " SIZE_FORM},
    {"a budget that is too small", "memory: {budget: 64KiB}\n" PIPELINE,
     "1:18: error: memory.budget: '64KiB' is too small; the smallest value is 1MiB\n"},
    {"a duration with an unknown unit", "ack_timeout: 25sec\n" PIPELINE,
     "1:14: error: ack_timeout: '25sec' is not a duration; " DURATION_FORM "25s\n"},
    {"a duration in two parts", "dedup: {window: 1h30m}\n" PIPELINE,
     "1:17: error: dedup.window: '1h30m' is not a duration; " DURATION_FORM "1h\n"},
    {"no time for an ack", "ack_timeout: 0\n" PIPELINE,
     "1:14: error: ack_timeout: '0' is too small; the smallest value is 1ms\n"},
    {"a duration that is too long", "shutdown_delay: 2d\n" PIPELINE,
     "1:17: error: shutdown_delay: '2d' is too large; the largest value is 1h\n"},
    {"a duration that overflows", "retry: {max: 99999999999999d}\n" PIPELINE,
     "1:14: error: retry.max: '99999999999999d' is too large to count; " DURATION_FORM "60s\n"},
    {"an unknown level of acknowledgement", "ack: disc\n" PIPELINE,
     "1:6: error: ack: 'disc' is not a choice; write one of memory, disk, sink; did you mean 'disk'?\n"},
    {"an unknown log level", "logging: {level: verbose}\n" PIPELINE,
     "1:18: error: logging.level: 'verbose' is not a choice; write one of debug, info, warn, error\n"},
    {"an unknown log format",
     "logging:\n"
     "  format: xml\n" PIPELINE,
     "2:11: error: logging.format: 'xml' is not a choice; write one of logfmt, json\n"},
    {"first wait longer than the longest",
     "retry:\n"
     "  initial: 2m\n"
     "  max: 60s\n" PIPELINE,
     "2:12: error: retry.initial (2m) is longer than retry.max (60s); waits grow from the first to the second\n"},
    {"a first wait longer than the default of the longest", "retry: {initial: 2m}\n" PIPELINE,
     "1:18: error: retry.initial (2m) is longer than retry.max (60s); waits grow from the first to the second\n"},
    {"two equal ports",
     "webhook: {port: 8081}\n"
     "server: {api_port: 8081}\n" PIPELINE,
     "2:20: error: server.api_port and webhook.port are both 8081; give each a port of its own\n"},
    {"a port equal to the other's default", "webhook: {port: 8081}\n" PIPELINE,
     "1:17: error: server.api_port and webhook.port are both 8081; give each a port of its own\n"},
    {"a payload beyond half the budget",
     "memory: {budget: 64MiB}\n"
     "webhook: {max_payload_size: 33MiB}\n" PIPELINE,
     "2:29: error: webhook.max_payload_size: 33MiB is more than half of memory.budget (64MiB); raise the budget, lower "
     "this limit, or write 0 for the largest that fits\n"},
    {"an administrator's token that no client can send", "server: {admin_token: \"two words\"}\n" PIPELINE,
     "1:23: error: server.admin_token: holds a space, a control character or one beyond ASCII, which no client can "
     "send; "
     "use letters, digits and -._~+/\n"},
    {"a name instead of an address", "webhook: {bind: localhost}\n" PIPELINE,
     "1:17: error: webhook.bind: 'localhost' is a name, not an address; write 127.0.0.1 or '::1'\n"},
    {"an address with a port", "webhook: {bind: [\"0.0.0.0:8080\"]}\n" PIPELINE,
     "1:17: error: webhook.bind: '0.0.0.0:8080' is not an address; write an IPv4 or IPv6 address without a port, for "
     "example 127.0.0.1 or '::'\n"},
    {"an address in brackets", "server: {bind: \"[::1]\"}\n" PIPELINE,
     "1:16: error: server.bind: '[::1]' is not an address; write it without brackets, for example '::1'\n"},
    {"a star for every address", "webhook: {bind: \"*\"}\n" PIPELINE,
     "1:17: error: webhook.bind: '*' is not an address; write 0.0.0.0 or '::' for every interface\n"},
    {"an address with a zone", "webhook: {bind: \"fe80::1%eth0\"}\n" PIPELINE,
     "1:17: error: webhook.bind: 'fe80::1%eth0' has a zone, which is not supported; write an address without '%'\n"},
    {"no address", "webhook: {bind: []}\n" PIPELINE,
     "1:17: error: webhook.bind: the list is empty; name an address, for example 0.0.0.0\n"},
    {"the same address twice", "webhook: {bind: [\"::1\", \"::1\"]}\n" PIPELINE,
     "1:17: error: webhook.bind: '::1' is given twice; remove one\n"},
    {"an empty element in a list",
     "webhook:\n"
     "  bind:\n"
     "    - 0.0.0.0\n"
     "    -\n" PIPELINE,
     "4:6: error: webhook.bind: found nothing as an element of the list; write a list of texts, for example [0.0.0.0, "
     "'::']\n"},
    {"an empty plugin directory", "plugin_dir: \"\"\n" PIPELINE,
     "1:13: error: plugin_dir: is empty; name the directory of the plugins, or leave it out\n"},
    {"a variable that is not set", "webhook: {port: \"${NO_SUCH}\"}\n" PIPELINE,
     "1:17: error: environment variable NO_SUCH is not set; set it, or give a default: ${NO_SUCH:-...}\n"},
    {"a variable without a closing brace", "app: {name: \"${HOME\"}\n" PIPELINE,
     "1:13: error: '${' without a closing '}'; write $$ for a dollar sign\n"},
    {"a variable with a bad name", "app: {name: \"${my-name}\"}\n" PIPELINE,
     "1:13: error: '${my-name}' names no variable; write ${NAME} or ${NAME:-default}, and $$ for a dollar sign\n"},
    {"a default with a variable in it", "app: {name: \"${A:-${B}}\"}\n" PIPELINE,
     "1:13: error: the default of ${A:-...} holds another '${'; only plain text can stand there\n"},
    {"a variable that holds no number", "webhook: {port: \"${WORD}\"}\n" PIPELINE,
     "1:17: error: webhook.port: '${WORD}', once expanded, is not a whole number; " PORT_FORM "\n"},
    {"a variable that holds no UTF-8", "app: {name: \"${LATIN}\"}\n" PIPELINE,
     "1:13: error: environment variable LATIN holds bytes that are not UTF-8\n"},
    {"a very long value",
     "ack: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n" PIPELINE,
     "1:6: error: ack: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...' is not a choice; write "
     "one of memory, disk, sink\n"},
};

int main(void)
{
    return run_cases("config errors core", cases, sizeof cases / sizeof cases[0]);
}
