# Execution plans that were written in markdown become the structured form: one task for each item of the list.
#
# $items says what begins an item: "- " alone, as the application read its plans, or any of "- ", "* ", "1." (a number with a
# dot or a bracket), "[x]" (a box, ticked or not, also behind a dash), "indented" (items may stand further in) and
# "continuation" (a line further in than its item belongs to it). Lines that are no item are counted; the whole text stays in
# `overall_plan`.

def begins: [
    (if $items | index("[x]") then "(?:[-*] +)?\\[[ xX]?\\]" else empty end),
    (if $items | index("- ") then "- " else empty end),
    (if $items | index("* ") then "\\* " else empty end),
    (if $items | index("1.") then "[0-9]+[.)]" else empty end)
  ] | "^" + (if $items | index("indented") then "[ \\t]*" else "" end) + "(?:" + join("|") + ")";

# What a line is: an item with its text, part of the item before, or neither.
def kind($begins; $goes_on):
  if test($begins) then {item: (sub($begins; "") | trim)}
  elif $goes_on and test("^[ \\t]+[^ \\t]") then {more: trim}
  elif test("^[ \\t\\r]*$") then {}
  else {other: 1} end;

def parsed:
  begins as $begins
  | ($items | index("continuation") != null) as $goes_on
  | reduce (split("\n")[] | kind($begins; $goes_on)) as $line ({tasks: [], other: 0};
      if $line.item then .tasks += [$line.item]
      elif $line.more and (.tasks | length) > 0 then .tasks[-1] += " " + $line.more
      elif $line.more or $line.other then .other += 1
      else . end);

.execution_plan as $text
| ($text | parsed) as $plan
| {"$counts": {tasks: ($plan.tasks | length), unparsed_lines: $plan.other}},
  {
    user_question: (.user_question // "(from a legacy plan: the question was not kept)"),
    overall_plan: $text,
    tasks: [
      $plan.tasks[] | {
        task_description: .,
        acceptance_criteria: ["(from a legacy plan: no criteria were kept)"],
        task_context: {
          user_request: "(from a legacy plan)",
          context: "(from a legacy plan)",
          previous_outputs: []
        }
      }
    ]
  }
