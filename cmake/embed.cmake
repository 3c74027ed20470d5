# cmake -DIN=file -DOUT=file.h -DNAME=name -P embed.cmake: the bytes of a file as a C array.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUT} "/* Made from ${NAME} by cmake/embed.cmake. */\n"
  "static const unsigned char ${NAME}[] = { ${bytes} };\n"
  "static const unsigned long ${NAME}_len = sizeof(${NAME});\n")
