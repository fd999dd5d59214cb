/* How tasks are confined on this machine: what was asked for, what the system has, and what that
 * comes to. Found out once, at the start; mrtask carries it out (mapreduce/confine.h). */
#ifndef IO_CONFINEMENT_H
#define IO_CONFINEMENT_H

#include "base/error.h"
#include "io/file.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    CONFINEMENT_PATHS_MAX = 32, /* of each kind, of the command line */
    CONFINEMENT_ARGUMENTS_MAX = 16 + 4 * CONFINEMENT_PATHS_MAX + 8,
};

enum confinement_users {
    USERS_AUTO, /* as root: a number of its own for each attempt; else our own user */
    USERS_OWN,  /* ours, whoever we are */
    USERS_ONE,  /* the one named */
};

struct confinement_paths {
    const char *at[CONFINEMENT_PATHS_MAX];
    unsigned count;
};

struct confinement {
    /* What was asked for; borrowed. */
    const char *mode; /* "auto", "strict", "off" */
    enum confinement_users users;
    uid_t user; /* of USERS_ONE */
    struct confinement_paths readable, writable;

    /* What it comes to. */
    char hidden[2][FILE_PATH_MAX]; /* the data directory, the key file */
    char
        commands[FILE_PATH_MAX]; /* where directories of commands are made; "" = in the attempt's */
    uint64_t parts;              /* bits of enum confinement_part (wire/kinds.h) */
    uint64_t attempts;           /* so far: from it follows the next one's user */
};

/* The name or number of a user into users and user; false when there is none of it. */
bool confinement_set_user(struct confinement *confinement, const char *text) MUST_USE;

/* Looks at the system. Opens the data directory to passers-by where tasks have users of their own
 * and all above it is open; else their directories are made in /var/tmp. NULL, or what strict
 * confinement lacks. */
const char *confinement_find(struct confinement *confinement, const char *directory,
                             const char *key_file, const char *id_text) MUST_USE;

/* Whom the next attempt's commands run as; 0 = as we are. */
uid_t confinement_next_user(struct confinement *confinement);
/* The directory of an attempt's commands: in its own or in `commands`. False: too long. */
bool confinement_place(const struct confinement *confinement, const char *attempt, uint64_t number,
                       char path[FILE_PATH_MAX]) MUST_USE;
/* Arguments of an mrtask that waits for attempts, up to and with NULL. All borrowed. */
struct confinement_call {
    char *arguments[CONFINEMENT_ARGUMENTS_MAX];
};
void confinement_arguments(const struct confinement *confinement, const char *mrtask,
                           struct confinement_call *call);

/* One line of what is there and what is not. */
void confinement_text(const struct confinement *confinement, char *text, size_t size);

#endif
