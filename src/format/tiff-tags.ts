/** Names of the tags of TIFF 6.0, Exif 3.0 and its GPS directory. */
const BASIC =
  "254 NewSubfileType,255 SubfileType,256 ImageWidth,257 ImageLength,258 BitsPerSample,259 Compression,262 PhotometricInterpretation," +
  "263 Threshholding,266 FillOrder,269 DocumentName,270 ImageDescription,271 Make,272 Model,273 StripOffsets,274 Orientation," +
  "277 SamplesPerPixel,278 RowsPerStrip,279 StripByteCounts,280 MinSampleValue,281 MaxSampleValue,282 XResolution,283 YResolution," +
  "284 PlanarConfiguration,285 PageName,286 XPosition,287 YPosition,296 ResolutionUnit,297 PageNumber,301 TransferFunction," +
  "305 Software,306 DateTime,315 Artist,316 HostComputer,317 Predictor,318 WhitePoint,319 PrimaryChromaticities,320 ColorMap," +
  "322 TileWidth,323 TileLength,324 TileOffsets,325 TileByteCounts,330 SubIFDs,338 ExtraSamples,339 SampleFormat,347 JPEGTables," +
  "513 JPEGInterchangeFormat,514 JPEGInterchangeFormatLength,529 YCbCrCoefficients,530 YCbCrSubSampling,531 YCbCrPositioning," +
  "532 ReferenceBlackWhite,700 XMP,33432 Copyright,33550 ModelPixelScale,33723 IPTC,33922 ModelTiepoint,34377 Photoshop," +
  "34665 ExifIFD,34675 ICCProfile,34735 GeoKeyDirectory,34736 GeoDoubleParams,34737 GeoAsciiParams,34853 GPSIFD," +
  "42112 GDALMetadata,42113 GDALNoData,50706 DNGVersion,50708 UniqueCameraModel";

const EXIF =
  "33434 ExposureTime,33437 FNumber,34850 ExposureProgram,34855 PhotographicSensitivity,36864 ExifVersion,36867 DateTimeOriginal," +
  "36868 DateTimeDigitized,36880 OffsetTime,36881 OffsetTimeOriginal,36882 OffsetTimeDigitized,37121 ComponentsConfiguration," +
  "37122 CompressedBitsPerPixel,37377 ShutterSpeedValue,37378 ApertureValue,37379 BrightnessValue,37380 ExposureBiasValue," +
  "37381 MaxApertureValue,37382 SubjectDistance,37383 MeteringMode,37384 LightSource,37385 Flash,37386 FocalLength,37396 SubjectArea," +
  "37500 MakerNote,37510 UserComment,37520 SubSecTime,37521 SubSecTimeOriginal,37522 SubSecTimeDigitized,40960 FlashpixVersion," +
  "40961 ColorSpace,40962 PixelXDimension,40963 PixelYDimension,40965 InteroperabilityIFD,41486 FocalPlaneXResolution," +
  "41487 FocalPlaneYResolution,41488 FocalPlaneResolutionUnit,41495 SensingMethod,41728 FileSource,41729 SceneType," +
  "41985 CustomRendered,41986 ExposureMode,41987 WhiteBalance,41988 DigitalZoomRatio,41989 FocalLengthIn35mmFilm," +
  "41990 SceneCaptureType,41991 GainControl,41992 Contrast,41993 Saturation,41994 Sharpness,41996 SubjectDistanceRange," +
  "42016 ImageUniqueID,42032 CameraOwnerName,42033 BodySerialNumber,42034 LensSpecification,42035 LensMake,42036 LensModel," +
  "42037 LensSerialNumber";

const GPS =
  "0 GPSVersionID,1 GPSLatitudeRef,2 GPSLatitude,3 GPSLongitudeRef,4 GPSLongitude,5 GPSAltitudeRef,6 GPSAltitude,7 GPSTimeStamp," +
  "8 GPSSatellites,9 GPSStatus,10 GPSMeasureMode,11 GPSDOP,12 GPSSpeedRef,13 GPSSpeed,16 GPSImgDirectionRef,17 GPSImgDirection," +
  "18 GPSMapDatum,27 GPSProcessingMethod,29 GPSDateStamp";

function table(list: string): ReadonlyMap<number, string> {
  return new Map(
    list.split(",").map((entry) => {
      const [number = "", name = ""] = entry.split(" ");
      return [Number(number), name];
    }),
  );
}

const TAGS = new Map([...table(BASIC), ...table(EXIF)]);
const GPS_TAGS = table(GPS);

/** The name of a tag, or its number. */
export function tagName(tag: number, inGps: boolean): string {
  return (inGps ? GPS_TAGS : TAGS).get(tag) ?? `tag 0x${tag.toString(16).padStart(4, "0")}`;
}
