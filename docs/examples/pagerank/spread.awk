# Mapper: each page keeps its links and its old rank, and gives its rank to those it links to, in equal parts.
BEGIN { FS = "\t" }
{
  printf "%s\tlinks\t%s\n%s\told\t%d\n", $1, $3, $1, $2
  count = split($3, to, " ")
  for (i = 1; i <= count; i++) printf "%s\tgets\t%d\n", to[i], int($2 / count)
}
