/** Largest image file that is read. */
export const maxImageBytes = 64_000_000;

/** Most pixels of an image, as it is or resized: Pillow's limit, past which it warns of a decompression bomb. */
export const maxImagePixels = 89_478_485;

/** Longest side of an image: JPEG's. A PNG may say more, to make a filter of its length. */
export const maxImageSide = 65_535;

/** Largest preprocessor_config.json, which lists no more than a few numbers. */
export const maxConfigBytes = 1_000_000;

/** Longest side that preprocessor_config.json may ask for. */
export const maxModelSide = 4096;
