/* Where two outputs that should be equal part: for `mrctl explain`. */
#ifndef CTL_DIFFERENCE_H
#define CTL_DIFFERENCE_H

#include "ctl/session.h"
#include "wire/wire.h"

#include <stdio.h>

/* When a line of the story says that an attempt's output differs from another's, and the flock
 * keeps both (JOB.differing): says on `file` the first record in which they differ. Trouble is
 * said on stderr; it is none of the caller's. */
void difference_show(struct session *session, const struct msg_story_line *lines, uint32_t count,
                     FILE *file);

#endif
