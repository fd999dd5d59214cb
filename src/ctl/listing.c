/* Pages (listing.h). A name is looked up once; then its blocks are asked for by the digest of their
 * list ("@" and 64 digits), which no other version has. A node knows that list as long as a name
 * has it, and somewhat longer. */
#include "ctl/listing.h"

#include "ctl/dataset.h"
#include "ctl/exits.h"
#include "ctl/notice.h"

#include <stdio.h>
#include <string.h>

void listing_init(struct listing *listing, struct session *session, const char *name)
{
    *listing = (struct listing){.session = session, .name = name};
}

void listing_init_exact(struct listing *listing, struct session *session, const char *name,
                        const struct digest *list)
{
    listing_init(listing, session, name);
    listing->is_given = true;
    listing->exact[0] = '@';
    digest_text(list, listing->exact + 1);
}

/* EXIT_NOT_FOUND is not said. */
static int ask(struct listing *listing, const char *name, uint32_t first,
               const struct msg_say_dataset **page)
{
    struct msg_ask_dataset ask = {.name = slice_string(name), .first = first};
    struct wire_message reply;
    session_ask(listing->session, &wire_ask_dataset, &ask, SESSION_PATIENCE);
    int code = session_reply(listing->session, MSG_say_dataset, &reply);
    *page = code == EXIT_OK ? reply.fields : NULL;
    return code == EXIT_NOT_FOUND ? code : session_complain(listing->session, code);
}

/* Who has the name now? *is_same: the version that is asked for. */
static int look_up(struct listing *listing, bool *is_same)
{
    struct msg_name_row row;
    struct listing found;
    int code = dataset_find(listing->session, listing->name, &row);
    if (code != EXIT_OK) return code;
    listing_init_exact(&found, listing->session, listing->name, &row.manifest.digest);
    *is_same = strcmp(found.exact, listing->exact) == 0;
    memcpy(listing->exact, found.exact, sizeof found.exact);
    return EXIT_OK;
}

static int replaced(const struct listing *listing)
{
    notice_line("%s: it was replaced while it was read: begin again", listing->name);
    return EXIT_PARTIAL;
}

static int plain_page(struct listing *listing, uint32_t first, const struct msg_say_dataset **page)
{
    listing->is_plain = true;
    int code = ask(listing, listing->name, first, page);
    return code == EXIT_NOT_FOUND ? dataset_removed(listing->name) : code;
}

/* The first page decides which version it is. That the peer does not know one that has the name
 * means that it is of an earlier version of ours. */
static int first_page(struct listing *listing, const struct msg_say_dataset **page)
{
    int code = EXIT_NOT_FOUND;
    for (bool is_same = false; code == EXIT_NOT_FOUND && !is_same;) {
        bool is_known = listing->exact[0] != '\0';
        if (is_known) code = ask(listing, listing->exact, 0, page);
        if (code != EXIT_NOT_FOUND) return code;
        int found = look_up(listing, &is_same);
        if (found == EXIT_NOT_FOUND)
            return listing->is_given ? dataset_removed(listing->name)
                                     : dataset_missing(listing->name);
        if (found != EXIT_OK) return found;
        if (listing->is_given && !is_same) return replaced(listing);
    }
    return plain_page(listing, 0, page);
}

int listing_check(struct listing *listing)
{
    struct listing now = *listing;
    bool is_same = true;
    if (listing->is_plain) return EXIT_OK;
    int code = look_up(&now, &is_same);
    if (code == EXIT_NOT_FOUND) return dataset_removed(listing->name);
    if (!is_same) return replaced(listing);
    return EXIT_OK; /* whatever else is wrong is found out by who goes on */
}

int listing_page(struct listing *listing, uint32_t first, const struct msg_say_dataset **page)
{
    if (listing->is_plain) return plain_page(listing, first, page);
    if (first == 0) return first_page(listing, page);
    int code = ask(listing, listing->exact, first, page);
    if (code == EXIT_NOT_FOUND) code = listing_check(listing);
    else return code;
    return code == EXIT_OK ? replaced(listing) : code; /* and back meanwhile */
}
