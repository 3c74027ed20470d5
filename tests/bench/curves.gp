# The curves of bench_flat: gnuplot -e "points='FILE'; picture='flat.svg'" curves.gp
set terminal svg size 760,420 font "sans-serif,12" background "white"
set output picture
set datafile separator "\t"
set logscale x
set format x "10^{%L}"
set xlabel "accounts"
set ylabel "time of a call, that at 1,000 accounts = 1"
set yrange [0:2.5]
set xrange [1000:*]
set key outside right
set grid
first_of(column) = (system(sprintf("awk -F '\\t' 'NR == 2 { print $%d }' %s", column, points)) + 0.0)
plot for [c = 8:18] points using 1:(column(c) / first_of(c)) with linespoints title columnheader(c), \
     1.5 with lines dashtype 2 linecolor "black" title "promise, to 10^6"
