/* A bag's command with an argument put in, as GNU parallel's replacement strings do. */
#ifndef CTL_EXPAND_H
#define CTL_EXPAND_H

#include <stddef.h>
#include <stdint.h>

/* {} the argument, {.} without its extension, {/} its last component, {//} its directory, {/.} the
 * last component without extension, {#} the sequence number. An argument is quoted for /bin/sh
 * where it holds more than plain characters. A command without any of them gets " {}" at its end;
 * the command "{}" alone is the argument itself, unquoted: a list of commands. Returns a string to
 * be freed. */
char *expand_command(const char *command, const char *argument, uint64_t sequence);

#endif
