# Writes the schema's steps (STEPS, joined by |) as strings into a C file (OUTPUT).
string(REPLACE "|" ";" steps "${STEPS}")
set(arrays "")
set(names "")
set(count 0)
foreach(step ${steps})
  math(EXPR count "${count} + 1")
  file(READ ${step} bytes HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  string(APPEND arrays "static const char step_${count}[] = {${bytes}0};\n")
  string(APPEND names "    step_${count},\n")
endforeach()
file(WRITE ${OUTPUT}
"/* Made from the files in schema/ by embed.cmake. */
#include \"db/schema.h\"

${arrays}
const char *const schema_steps[] = {
${names}};
const int schema_newest = ${count};
")
