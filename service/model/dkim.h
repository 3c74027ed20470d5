/*
 * DKIM selectors: their names, their records, their private keys
 * (mox-behaviour 1.7 to 1.9, 2.6).
 *
 * A selector's name belongs to one key for ever: a UsedSelector record stays
 * when the selector and the domain are gone.
 *
 * Its life:
 *
 *   pending ----> active <---> retiring ----> retired
 *      |            |                            ^
 *      |            +----------------------------+
 *      +-> retiring and retired, too             |
 *      +-----------------------------------------+
 *
 * Nothing goes back to pending, which promises that nothing was signed yet.
 * Retiring may turn active again: its key is still published. Retired is final:
 * the key was published as revoked.
 */
#pragma once

#include "keys/key.h"
#include "keys/vault.h"
#include "model/record.h"
#include "mxadm/v1/admin.pb-c.h"

/* Selectors of one domain. Far beyond any rotation; bounds what DomainRecords answers. */
#define DKIM_SELECTORS_MAX 100
/* Of a new domain: the first signs, the second is published in advance (1.7-03 to 1.7-09). */
#define DKIM_TEMPLATE_SELECTORS 2
/* How long signatures of a new domain's selectors are valid (1.7-03). */
#define DKIM_EXPIRATION_S ((int64_t) 72 * 3600)
/* RFC 6376 section 3.5: "x=" is a number of seconds; ten years is a slip of the pen. */
#define DKIM_EXPIRATION_MAX_S ((int64_t) 10 * 366 * 24 * 3600)
#define DKIM_HEADERS_MAX      100

/* Fields that a Save leaves alone; ended by NULL. */
extern const char *const dkim_fixed[];

/* Whether the selector's own values are good: what is wrong is reported below `path`. */
bool dkim_check(struct model *model, const Mxadm__V1__DkimSelector *selector, const char *path);
/* The part of it that settings of signatures are: hash, headers, expiration. */
void dkim_check_settings(struct model *model, const Mxadm__V1__DkimSelector *selector,
                         const char *path);

/* Whether a selector may go from one state to another; it may stay in each. */
bool dkim_may_move(Mxadm__V1__DkimSelector__State from, Mxadm__V1__DkimSelector__State to);
/* "pending"; static. */
const char *dkim_state_name(Mxadm__V1__DkimSelector__State state);

/* Stores the selector as `after` after all checks; what is wrong is reported, below `path` if it is
 * a value. `before` is what is stored. Returns what is stored then. */
struct slice dkim_save(struct model *model, const Mxadm__V1__DkimSelector *before,
                       Mxadm__V1__DkimSelector *after, const char *path);

/* The selectors that a new domain gets, the first signing, named by year and letter; names used
 * before are passed over. Not stored, without keys. */
Mxadm__V1__DkimSelector **dkim_template(struct model *model, const struct name_domain *domain,
                                        size_t *count_out);

/* A selector from a request; reports what is wrong with it. NULL: reported. Not stored. */
Mxadm__V1__DkimSelector *dkim_from_request(struct model *model, const struct name_domain *domain,
                                           const Mxadm__V1__DKIMAddRequest *request);

/* Of the key that it asks for. */
enum key_kind dkim_request_kind(const Mxadm__V1__DKIMAddRequest *request);

/* Reports what stands in the way of adding it: exists, used before, too many. */
bool dkim_check_free(struct model *model, const char *domain, const char *selector);

/*
 * Stores the selector with its key: the record, the sealed private key, the name's mark. `key`
 * NULL (validate_only): without public key. Completes the record.
 */
struct slice dkim_put_new(struct model *model, struct vault *vault, const char *domain_ascii,
                          Mxadm__V1__DkimSelector *selector, const struct key *key);

/* The selector, or NULL and NOT_FOUND reported. */
Mxadm__V1__DkimSelector *dkim_require(struct model *model, const char *domain,
                                      const char *selector);

/* Removes selector and private key; the name stays used. */
void dkim_remove(struct model *model, const Mxadm__V1__DkimSelector *selector);

/* The private key of a selector: yours. NULL: reported. */
struct key *dkim_unseal(struct model *model, struct vault *vault, const char *domain,
                        const char *selector);

/* All selectors of a domain, ordered by name. */
Mxadm__V1__DkimSelector **dkim_all(const struct model *model, const char *domain,
                                   size_t *count_out);

/* Text of a selector's DNS record. */
const char *dkim_record_text(struct model *model, const Mxadm__V1__DkimSelector *selector);
