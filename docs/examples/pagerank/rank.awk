# Reducer: what a page was given -> its new rank. Counts those whose rank moved by more than a thousandth.
function page_ends(  rank, moved) {
  if (page == "") return
  rank = 150000 + int(gets * 85 / 100)
  moved = rank > old ? rank - old : old - rank
  if (moved > 1000) print "reporter:counter:rank,moved,1" >"/dev/stderr"
  printf "%s\t%d\t%s\n", page, rank, links
}
BEGIN { FS = "\t" }
$1 != page { page_ends(); page = $1; links = ""; gets = old = 0 }
$2 == "links" { links = $3 }
$2 == "old" { old = $3 }
$2 == "gets" { gets += $3 }
END { page_ends() }
