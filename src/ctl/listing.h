/* The blocks of a dataset, page by page, all of one version of it: another one may take its name
 * between two pages. */
#ifndef CTL_LISTING_H
#define CTL_LISTING_H

#include "base/id.h"
#include "ctl/session.h"

struct listing {
    struct session *session;
    const char *name;                 /* borrowed */
    char exact[1 + DIGEST_TEXT_SIZE]; /* how to ask for this version alone; empty: not yet known */
    bool is_given;                    /* and by whoever reads */
    bool is_plain;                    /* the peer does not know such words: by name, and hope */
};

/* Of the version that has the name at the first page. */
void listing_init(struct listing *listing, struct session *session, const char *name);
/* Of the version with this list of blocks. */
void listing_init_exact(struct listing *listing, struct session *session, const char *name,
                        const struct digest *list);
/* Its blocks from the first-th on; valid until the next session_* call. EXIT_OK; EXIT_NOT_FOUND:
 * no dataset has this name, or none any more; EXIT_PARTIAL: it has another version now; ... (said).
 */
int listing_page(struct listing *listing, uint32_t first, const struct msg_say_dataset **page);
/* A block can't be had: is it because the name has another version now, or none? EXIT_OK: no;
 * EXIT_NOT_FOUND, EXIT_PARTIAL (said). What session_* returned before is not valid any more. */
int listing_check(struct listing *listing);

#endif
