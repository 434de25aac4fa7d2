#include <stdio.h>
#include "version.h"

int main(void) {
    printf("weather, built on %s by %s from %s\n", BUILT_ON, BUILT_BY, __FILE__);
    return 0;
}
