/* The server of BULK streams: blocks to those who ask, uploads from those who store. */
#ifndef IO_SERVE_H
#define IO_SERVE_H

struct loop;

/* Serves inbound BULK streams from then on. loop->streams and loop->blocks must be open. */
void serve_open(struct loop *loop);

#endif
