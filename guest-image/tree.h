/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The staging tree of the guest root: directories, the agent, the shared libraries it needs and the
 * program interpreter. Modes are normalised, times and owners are set by mkfs, so that the result
 * depends on file contents alone.
 */

#include "basic/cleanup.h"

typedef struct TreeFile {
        char *path;             /* in the image, absolute */
        char *source;           /* on this machine; NULL for directories and symlinks */
        char *target;           /* of a symlink */
        char *text;             /* of a file that is made here */
        char *origin;           /* below root, where that is another place than path */
        unsigned mode;          /* permission bits */
        uint64_t size;
        uint8_t digest[32];     /* SHA-256 of the content, or of the symlink's target */
        uint8_t sha1[20];       /* SHA-1 of the same */
        bool project;           /* made by this project, no package of root owns it */
} TreeFile;

typedef struct Tree {
        TreeFile *files;        /* sorted by path after tree_sort() */
        size_t n_files;
} Tree;

void tree_done(Tree *tree);

/*
 * Plans the image: fixed directories and links, the agent at /usr/bin/kata-agent, its libraries as the
 * program interpreter below root resolves them (no cache, root's own library directories only).
 */
int tree_plan(Tree *tree, const char *root, const char *agent, char **reterr_message);

/*
 * Parts of a plan. A path that is in the tree already is left alone. source NULL: a directory, or a
 * symbolic link if target is set; "/dev/null": an empty file.
 */
int tree_add(Tree *tree, const char *path, const char *source, const char *target, unsigned mode);
/* A file with this text. */
int tree_add_text(Tree *tree, const char *path, const char *text, unsigned mode);
/* A file from below root that is at another place there. */
int tree_add_from(Tree *tree, const char *path, const char *root, const char *source, unsigned mode);
/* The directories above path. */
int tree_add_parents(Tree *tree, const char *path);
/* The shared libraries of a program and its interpreter, from below root. */
int tree_add_libraries(Tree *tree, const char *root, const char *program, char **reterr_message);
/*
 * What the program interpreter below root makes of program: *ret_interpreter is its place on this machine
 * (NULL for a static program, and no list then), *ret_list its "NAME => PATH (0x...)" lines.
 */
int tree_list_libraries(const char *root, const char *program, char **ret_interpreter, char **ret_list,
                        char **reterr_message);
/*
 * Cuts one of those lines into name and place; false for lines of no interest (vdso, interpreter). place is
 * NULL if the library was not found.
 */
bool tree_parse_library_line(char *line, const char **ret_name, const char **ret_place);
/* Ends a plan. */
void tree_sort(Tree *tree);

/* Writes the planned tree below the empty directory dir and fills sizes and digests. */
int tree_write(Tree *tree, const char *dir, char **reterr_message);
