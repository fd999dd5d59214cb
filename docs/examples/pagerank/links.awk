# Reducer: "page TAB page it links to", sorted -> "page TAB rank TAB link link ...". Ranks are in millionths.
function page_ends() { if (page != "") printf "%s\t1000000\t%s\n", page, links }
BEGIN { FS = "\t" }
$1 != page { page_ends(); page = $1; links = "" }
{ links = links (links == "" ? "" : " ") $2 }
END { page_ends() }
