# One table of the benchmark, in Markdown, from the rows that `measure` prints.
#   -v title=…                what stands above it
#   -v column=N               the column of the rows that is shown, as min / median / max in milliseconds
#   -v contenders="a b …"     whose; a ratio of medians to the first follows for each of the others,
#                             and of the first to `limit`, which nothing can be faster than
#   -v names="…;…"            what the contenders are called

{
  if (!($1 in seen)) { seen[$1]; labs[++lab_count] = $1 }
  if ($column != "-") values[$1, $2, ++count[$1, $2]] = $column / 1000
}

function sort(lab, who,   i, j, value) {
  for (i = 2; i <= count[lab, who]; i++) {
    value = values[lab, who, i]
    for (j = i - 1; j >= 1 && values[lab, who, j] > value; j--) values[lab, who, j + 1] = values[lab, who, j]
    values[lab, who, j + 1] = value
  }
}

function median(lab, who,   n) {
  n = count[lab, who]
  return n % 2 ? values[lab, who, (n + 1) / 2] : (values[lab, who, n / 2] + values[lab, who, n / 2 + 1]) / 2
}

function spread(lab, who) {
  if (!count[lab, who]) return "–"
  sort(lab, who)
  return sprintf("%.1f / **%.1f** / %.1f", values[lab, who, 1], median(lab, who), values[lab, who, count[lab, who]])
}

function ratio(lab, above, below) {
  if (!count[lab, above] || !count[lab, below] || median(lab, below) == 0) return "–"
  return sprintf("%.2f", median(lab, above) / median(lab, below))
}

END {
  n = split(contenders, who, " ")
  split(names, name, ";")
  head = "| lab |"; rule = "|---|"
  for (i = 1; i <= n; i++) { head = head " " name[i] " |"; rule = rule "---:|" }
  for (i = 2; i <= n; i++) {
    above[i] = who[i] == "limit" ? 1 : i
    below[i] = who[i] == "limit" ? i : 1
    head = head " " name[above[i]] " ÷ " name[below[i]] " |"; rule = rule "---:|"
  }
  printf "\n### %s\n\n%s\n%s\n", title, head, rule
  for (l = 1; l <= lab_count; l++) {
    line = "| " labs[l] " |"
    for (i = 1; i <= n; i++) line = line " " spread(labs[l], who[i]) " |"
    for (i = 2; i <= n; i++) line = line " " ratio(labs[l], who[above[i]], who[below[i]]) " |"
    print line
  }
}
