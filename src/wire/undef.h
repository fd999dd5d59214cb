/* Ends one pass over messages.def. */
#undef RECORD
#undef MESSAGE
#undef FIELD
#undef BYTES
#undef ITEM
#undef LIST
#undef END
