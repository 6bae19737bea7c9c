/* text: everything that is written about options, derived from their rows.
 *
 * Errors   none but a full buf (`bad`); TEXT_CAP is enough for every service.
 * The generated files of the repository are these texts: `make gen` writes them. */
#pragma once

#include "base/buf.h"
#include "conf/opt.h"

#define TEXT_CAP (1u << 20)

/* `aero serve l2 --help`, the part about options. */
void text_help(const struct opt_service *svc, struct buf *out);
/* A sample file: every option, commented out, at its default. */
void text_ini(const struct opt_service *svc, struct buf *out);
/* docs/configuration.md: what holds everywhere, then a chapter for each service. */
void text_markdown_head(struct buf *out);
void text_markdown(const struct opt_service *svc, struct buf *out);
/* Body of the manual: .Bl ... .El of every option (mdoc). */
void text_mdoc_options(const struct opt_service *svc, struct buf *out);
/* Ditto of every environment name. */
void text_mdoc_env(const struct opt_service *svc, struct buf *out);
/* "NAME  section.key  how it is read", a line each, all names of the service. */
void text_env(const struct opt_service *svc, struct buf *out);
/* One option in full; false when the service has no option or environment name called that. */
bool text_option(const struct opt_service *svc, const char *name, struct buf *out);
/* Completion: every flag, a line each. */
void text_words(const struct opt_service *svc, struct buf *out);
/* JSON Schema (2020-12) of {"section": {"key": ...}}. */
void text_schema(const struct opt_service *svc, struct buf *out);

/* Words of `s` in lines of at most `width` columns, each after `indent`; '\n' starts a new line. */
void text_wrap(const char *s, const char *indent, size_t width, struct buf *out);
/* Text made safe for a line of mdoc. */
void text_mdoc_escape(const char *s, struct buf *out);
