/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Versions of the guest beside each other:
 *
 *      GUESTDIR/VERSION/       a pair that has passed its boot test
 *      GUESTDIR/current        symlink: what new sandboxes boot; not there: what the package has shipped
 *      GUESTDIR/previous       symlink: what 'kata-image rollback' goes back to
 *      GUESTDIR/rejected       symlink: what was rolled back; 'kata-image update' does not install it again
 *      GUESTDIR/.lock          held by the one program that changes anything here
 *      GUESTDIR/.NAME          unfinished or half removed; the next one that holds the lock clears it away
 *
 * Each step is one rename, so that a program that is killed leaves the old state or the new one. What the
 * supervisors do on their side is in runtime/sandbox/guest-dir.h. Runs as root; all of it belongs to root.
 */

#include "basic/strv.h"

#define SLOT_SHIPPED "shipped"

typedef struct SlotPlaces {
        const char *base;       /* GUESTDIR */
        const char *shipped;    /* DATADIR */
        const char *run;        /* RUNDIR: references in ID/guest, definitions in sandboxes/ */
        const char *etc;        /* PKGSYSCONFDIR: kata.conf, kata.conf.d/, sandboxes/ */
} SlotPlaces;

extern const SlotPlaces slot_places_default;

typedef struct Slots {
        SlotPlaces places;
        int lock_fd;
} Slots;

#define SLOTS_NULL ((Slots) { .lock_fd = -EBADF })

/* Makes the directory, and waits for the lock with a notice. Leftovers stay until slots_clean(). */
int slots_lock(Slots *slots, char **reterr_message);
/* For readers; nothing is made. */
void slots_init(Slots *slots, const SlotPlaces *places);
void slots_done(Slots *slots);

/* Removes everything that is unfinished. Needs the lock. */
int slots_clean(Slots *slots, char **reterr_message);

/* Path of a version or of SLOT_SHIPPED; of an unfinished one. New strings. */
char *slots_path(const Slots *slots, const char *version);
char *slots_new_path(const Slots *slots, const char *version);

/* -EINVAL with a text for a name that can not be one. */
int slots_check_name(const char *version, char **reterr_message);

/* Installed versions without the shipped one, sorted by name. No directory at all is an empty list. */
int slots_list(const Slots *slots, Strv *ret, char **reterr_message);
bool slots_has(const Slots *slots, const char *version);

/* Where the links point: a version or SLOT_SHIPPED. All but current may be NULL. */
int slots_current(const Slots *slots, char **ret, char **reterr_message);
int slots_previous(const Slots *slots, char **ret, char **reterr_message);
int slots_rejected(const Slots *slots, char **ret, char **reterr_message);

/* Sandboxes (IDs) that have taken their files from that version. */
int slots_users(const Slots *slots, const char *version, Strv *ret, char **reterr_message);

/* A new version is whole and tested: gives it its name. Needs the lock. */
int slots_publish(Slots *slots, const char *version, char **reterr_message);

/* previous := current, current := version, which is not rejected any more. Needs the lock. */
int slots_switch(Slots *slots, const char *version, char **reterr_message);
/* The current version is not wanted: to be followed by a switch to another one. Needs the lock. */
int slots_reject_current(Slots *slots, char **reterr_message);

/*
 * Removes versions that are not current, not previous, not used by a sandbox and not named in a file of
 * the configuration; their names are added to removed. Needs the lock.
 */
int slots_collect(Slots *slots, Strv *removed, char **reterr_message);
