/**
 * A small C program that holds one session with a PKCS#11 module (OASIS
 * Cryptoki 2.40) and signs what it is handed. It declares the few parts of the
 * interface that it calls, since no header can be counted on. Everything that
 * is secret comes on standard input, hexadecimal words on one line; it ends
 * when that closes. Answers: `ok HEX`, or `no STEP CODE`.
 *
 *     open MODULE TOKEN LABEL ID PIN     "-" for what is not given; answers the EC point or key
 *     sign DIGEST                        answers r ‖ s
 *     edsign MESSAGE                     answers 64 bytes
 */
export const PKCS11_SOURCE: string = String.raw`
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long ul;
typedef unsigned char byte;
typedef struct { ul type; void *value; ul length; } attribute;
typedef struct { ul mechanism; void *parameter; ul length; } mechanism;
typedef struct { byte major, minor; void *f[68]; } functions;
enum { GET_SLOTS = 4, TOKEN_INFO = 6, OPEN_SESSION = 12, LOGIN = 18, ATTRIBUTES = 24,
       FIND_INIT = 26, FIND = 27, FIND_FINAL = 28, SIGN_INIT = 42, SIGN = 43 };

static functions *module;
static ul session, private_key;

static void no(const char *step, ul code) { printf("no %s %lx\n", step, code); fflush(stdout); }

static void ok(const byte *bytes, ul length) {
  printf("ok ");
  for (ul i = 0; i < length; i++) printf("%02x", bytes[i]);
  printf("\n");
  fflush(stdout);
}

/* A word of hexadecimal into new memory with a zero behind it; NULL for "-". */
static byte *unhex(const char *word, ul *length) {
  *length = 0;
  if (word == NULL || strcmp(word, "-") == 0) return NULL;
  ul n = strlen(word) / 2;
  byte *out = calloc(n + 1, 1);
  for (ul i = 0; out != NULL && i < n; i++) {
    unsigned value = 0;
    if (sscanf(word + 2 * i, "%2x", &value) != 1) break;
    out[i] = (byte)value;
  }
  *length = n;
  return out;
}

static int padded_equal(const byte *field, const byte *label, ul length) {
  if (length > 32 || memcmp(field, label, length) != 0) return 0;
  for (ul i = length; i < 32; i++) if (field[i] != ' ') return 0;
  return 1;
}

static ul find_slot(const byte *token, ul length, ul *slot) {
  ul slots[64], count = 64;
  ul code = ((ul (*)(byte, ul *, ul *))module->f[GET_SLOTS])(1, slots, &count);
  if (code != 0) return code;
  for (ul i = 0; i < count && i < 64; i++) {
    byte info[1024];
    memset(info, 0, sizeof info);
    code = ((ul (*)(ul, void *))module->f[TOKEN_INFO])(slots[i], info);
    if (code == 0 && (token == NULL || padded_equal(info, token, length))) { *slot = slots[i]; return 0; }
  }
  return 0xE0; /* CKR_TOKEN_NOT_PRESENT */
}

static ul find_object(ul class, byte *label, ul label_length, byte *id, ul id_length, ul *object) {
  attribute wanted[3] = { { 0, &class, sizeof class } };
  ul n = 1, found = 0, many[2];
  if (label != NULL) wanted[n++] = (attribute){ 3, label, label_length };
  if (id != NULL) wanted[n++] = (attribute){ 0x102, id, id_length };
  ul code = ((ul (*)(ul, attribute *, ul))module->f[FIND_INIT])(session, wanted, n);
  if (code != 0) return code;
  code = ((ul (*)(ul, ul *, ul, ul *))module->f[FIND])(session, many, 2, &found);
  ((ul (*)(ul))module->f[FIND_FINAL])(session);
  if (code != 0) return code;
  if (found != 1) return found == 0 ? 0xFFFF0000UL : 0xFFFF0002UL;
  *object = many[0];
  return 0;
}

static void open_key(char **words) {
  ul module_length, token_length, label_length, id_length, pin_length, slot = 0, public_key = 0;
  byte *path = unhex(words[0], &module_length), *token = unhex(words[1], &token_length);
  byte *label = unhex(words[2], &label_length), *id = unhex(words[3], &id_length);
  byte *pin = unhex(words[4], &pin_length);
  void *library = path == NULL ? NULL : dlopen((char *)path, RTLD_NOW | RTLD_LOCAL);
  ul (*list)(functions **) = library == NULL ? NULL : (ul (*)(functions **))dlsym(library, "C_GetFunctionList");
  if (list == NULL) { no("load", 0); return; }
  ul code = list(&module);
  if (code != 0) { no("load", code); return; }
  code = ((ul (*)(void *))module->f[0])(NULL);
  if (code != 0 && code != 0x191) { no("initialize", code); return; }
  code = find_slot(token, token_length, &slot);
  if (code != 0) { no("token", code); return; }
  code = ((ul (*)(ul, ul, void *, void *, ul *))module->f[OPEN_SESSION])(slot, 4, NULL, NULL, &session);
  if (code != 0) { no("session", code); return; }
  if (pin != NULL) {
    code = ((ul (*)(ul, ul, byte *, ul))module->f[LOGIN])(session, 1, pin, pin_length);
    memset(pin, 0, pin_length);
    if (code != 0 && code != 0x100) { no("login", code); return; }
  }
  code = find_object(3, label, label_length, id, id_length, &private_key);
  if (code != 0) { no("private", code); return; }
  code = find_object(2, label, label_length, id, id_length, &public_key);
  if (code != 0) { no("public", code); return; }
  byte point[512];
  attribute wanted = { 0x181, point, sizeof point };
  code = ((ul (*)(ul, ul, attribute *, ul))module->f[ATTRIBUTES])(session, public_key, &wanted, 1);
  if (code != 0 || wanted.length > sizeof point) { no("point", code); return; }
  ok(point, wanted.length);
}

static void sign(const char *word, ul how) {
  ul length, made = 256;
  byte out[256];
  byte *data = unhex(word, &length);
  mechanism with = { how, NULL, 0 };
  if (data == NULL || module == NULL) { no("sign", 7); return; }
  ul code = ((ul (*)(ul, mechanism *, ul))module->f[SIGN_INIT])(session, &with, private_key);
  if (code == 0) code = ((ul (*)(ul, byte *, ul, byte *, ul *))module->f[SIGN])(session, data, length, out, &made);
  free(data);
  if (code != 0) no("sign", code); else ok(out, made);
}

int main(void) {
  char *line = NULL;
  size_t room = 0;
  while (getline(&line, &room, stdin) > 0) {
    char *words[6] = { 0 };
    int n = 0;
    for (char *word = strtok(line, " \n"); word != NULL && n < 6; word = strtok(NULL, " \n")) words[n++] = word;
    if (n == 0) continue;
    if (strcmp(words[0], "open") == 0 && n == 6) open_key(words + 1);
    else if (strcmp(words[0], "sign") == 0 && n == 2) sign(words[1], 0x1041);
    else if (strcmp(words[0], "edsign") == 0 && n == 2) sign(words[1], 0x1057);
    else no("request", 7);
    memset(line, 0, room);
  }
  return 0;
}
`;
