import com.fasterxml.jackson.core.io.NumberOutput;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.example.data.simple.NanoTime;
import org.apache.parquet.schema.LogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.DateLogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.DecimalLogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.IntLogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.ListLogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.MapLogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.TimeLogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.TimeUnit;
import org.apache.parquet.schema.LogicalTypeAnnotation.TimestampLogicalTypeAnnotation;
import org.apache.parquet.schema.Type;
import org.apache.spark.sql.catalyst.util.GenericArrayData;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.unsafe.types.UTF8String;

/** Values of Parquet, and the conversions that lose nothing: those of Arrow's safe casts. */
final class Values {
  private static final Pattern INTEGER = Pattern.compile("-?[0-9]+|-?0[xX][0-9a-fA-F]+");
  private static final Pattern REAL =
      Pattern.compile("[+-]?(?:[0-9]+\\.?[0-9]*|\\.[0-9]+)(?:[eE][+-]?[0-9]+)?");
  private static final Pattern ENDLESS = Pattern.compile("([+-]?)(nan|inf|infinity)");
  private static final Pattern TIME =
      Pattern.compile(
          "([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]([0-9]{2})(?::([0-9]{2})(?::([0-9]{2}(?:\\.[0-9]{1,6})?))?)?"
              + "(Z|[+-][0-9]{2}(?::?[0-9]{2})?)");
  private static final long EXACT = 1L << 53;

  private Values() {}

  /** A number of units since 1970, as a Parquet column has it. digits: of a second's part. */
  record Moment(long units, int digits, boolean utc) {
    Instant instant() {
      long second = (long) Math.pow(10, digits);
      long part = Math.floorMod(units, second);
      return Instant.ofEpochSecond(
          Math.floorDiv(units, second), part * (1_000_000_000L / second));
    }

    /** As Arrow casts it to text. */
    String sql() {
      String pattern = "uuuu-MM-dd HH:mm:ss." + "S".repeat(digits) + (utc ? "'Z'" : "");
      return DateTimeFormatter.ofPattern(pattern).format(instant().atOffset(ZoneOffset.UTC));
    }

    /** As Python's isoformat, which knows no nanoseconds: those as Arrow writes them. */
    @Override
    public String toString() {
      if (digits == 9) {
        return sql();
      }
      boolean whole = instant().getNano() / 1000 == 0;
      String pattern = "uuuu-MM-dd'T'HH:mm:ss" + (whole ? "" : ".SSSSSS") + (utc ? "'+00:00'" : "");
      return DateTimeFormatter.ofPattern(pattern).format(instant().atOffset(ZoneOffset.UTC));
    }
  }

  /** A whole number, with the width of its column. */
  record Whole(BigInteger value, int bits) {
    @Override
    public String toString() {
      return value.toString();
    }
  }

  /** A time of day. */
  record Clock(long units, int digits) {
    LocalTime time() {
      return LocalTime.ofNanoOfDay(units * (long) Math.pow(10, 9 - digits));
    }

    String sql() {
      return DateTimeFormatter.ofPattern("HH:mm:ss." + "S".repeat(digits)).format(time());
    }

    @Override
    public String toString() {
      String pattern = time().getNano() / 1000 == 0 ? "HH:mm:ss" : "HH:mm:ss.SSSSSS";
      return DateTimeFormatter.ofPattern(pattern).format(time());
    }
  }

  /** The value of a column, null where there is none. */
  static Object decoded(Group group, int field) {
    if (group.getFieldRepetitionCount(field) == 0) {
      return null;
    }
    Type type = group.getType().getType(field);
    if (type.isRepetition(Type.Repetition.REPEATED)) {
      List<Object> found = new ArrayList<>();
      for (int i = 0; i < group.getFieldRepetitionCount(field); i++) {
        found.add(one(group, field, i, type));
      }
      return found;
    }
    return one(group, field, 0, type);
  }

  private static Object one(Group group, int field, int place, Type type) {
    if (type.isPrimitive()) {
      return primitive(group, field, place, type);
    }
    Group inner = group.getGroup(field, place);
    LogicalTypeAnnotation kind = type.getLogicalTypeAnnotation();
    boolean list = kind instanceof ListLogicalTypeAnnotation;
    if (list && inner.getType().getType(0).isPrimitive()) {
      return decoded(inner, 0);
    }
    if (list || kind instanceof MapLogicalTypeAnnotation) {
      List<Object> found = new ArrayList<>();
      for (int i = 0; i < inner.getFieldRepetitionCount(0); i++) {
        Group item = inner.getGroup(0, i);
        if (list) {
          found.add(decoded(item, 0));
        } else {
          List<Object> pair = new ArrayList<>();
          pair.add(decoded(item, 0));
          pair.add(decoded(item, 1));
          found.add(pair);
        }
      }
      return found;
    }
    Map<String, Object> found = new TreeMap<>();
    for (int i = 0; i < inner.getType().getFieldCount(); i++) {
      found.put(inner.getType().getFieldName(i), decoded(inner, i));
    }
    return found;
  }

  private static Object primitive(Group group, int field, int place, Type type) {
    LogicalTypeAnnotation kind = type.getLogicalTypeAnnotation();
    return switch (type.asPrimitiveType().getPrimitiveTypeName()) {
      case BOOLEAN -> group.getBoolean(field, place);
      case FLOAT -> group.getFloat(field, place);
      case DOUBLE -> group.getDouble(field, place);
      case INT32 -> whole(group.getInteger(field, place), 32, kind);
      case INT64 -> whole(group.getLong(field, place), 64, kind);
      case INT96 -> {
        NanoTime time = NanoTime.fromBinary(group.getInt96(field, place));
        long days = time.getJulianDay() - 2_440_588L;
        yield new Moment(days * 86_400_000_000_000L + time.getTimeOfDayNanos(), 9, false);
      }
      case BINARY, FIXED_LEN_BYTE_ARRAY -> {
        byte[] bytes = group.getBinary(field, place).getBytes();
        if (kind instanceof DecimalLogicalTypeAnnotation decimal) {
          yield new BigDecimal(new BigInteger(bytes), decimal.getScale());
        }
        boolean text =
            kind instanceof LogicalTypeAnnotation.StringLogicalTypeAnnotation
                || kind instanceof LogicalTypeAnnotation.EnumLogicalTypeAnnotation
                || kind instanceof LogicalTypeAnnotation.JsonLogicalTypeAnnotation;
        yield text ? new String(bytes, StandardCharsets.UTF_8) : bytes;
      }
    };
  }

  private static Object whole(long value, int bits, LogicalTypeAnnotation kind) {
    if (kind instanceof DateLogicalTypeAnnotation) {
      return LocalDate.ofEpochDay(value);
    }
    if (kind instanceof TimestampLogicalTypeAnnotation time) {
      return new Moment(value, digits(time.getUnit()), time.isAdjustedToUTC());
    }
    if (kind instanceof TimeLogicalTypeAnnotation time) {
      return new Clock(value, digits(time.getUnit()));
    }
    if (kind instanceof DecimalLogicalTypeAnnotation decimal) {
      return BigDecimal.valueOf(value, decimal.getScale());
    }
    BigInteger number = BigInteger.valueOf(value);
    if (kind instanceof IntLogicalTypeAnnotation integer) {
      if (!integer.isSigned() && value < 0) {
        number = number.add(BigInteger.ONE.shiftLeft(bits));
      }
      return new Whole(number, integer.getBitWidth());
    }
    return new Whole(number, bits);
  }

  private static int digits(TimeUnit unit) {
    return switch (unit) {
      case MILLIS -> 3;
      case MICROS -> 6;
      case NANOS -> 9;
    };
  }

  /** The value as Spark holds it in a column of a type, null where it does not fit. */
  static Object fitting(Object value, DataType type) {
    if (type.equals(DataTypes.IntegerType)) {
      Long found = value instanceof Moment ? null : integer(value);
      if (value instanceof LocalDate date) {
        found = date.toEpochDay();
      } else if (value instanceof Clock clock) {
        found = clock.digits() == 3 ? clock.units() : null;
      }
      return found != null && found == found.intValue() ? (Object) found.intValue() : null;
    }
    if (type.equals(DataTypes.LongType)) {
      return integer(value);
    }
    if (type.equals(DataTypes.DoubleType)) {
      return real(value);
    }
    if (type.equals(DataTypes.FloatType)) {
      return value instanceof Float ? value : null;
    }
    if (type.equals(DataTypes.BooleanType)) {
      return value instanceof Boolean ? value : null;
    }
    if (type.equals(DataTypes.StringType)) {
      String text = text(value);
      return text == null ? null : UTF8String.fromString(text);
    }
    if (type.equals(DataTypes.DateType)) {
      LocalDate day = day(value);
      return day == null ? null : (Object) (int) day.toEpochDay();
    }
    if (type.equals(DataTypes.TimestampType)) {
      return time_us(value);
    }
    if (type instanceof ArrayType array && value instanceof List<?> list) {
      Object[] items = new Object[list.size()];
      for (int i = 0; i < items.length; i++) {
        Object item = list.get(i);
        items[i] = item == null ? null : fitting(item, array.elementType());
        if (item != null && items[i] == null) {
          return null;
        }
      }
      return new GenericArrayData(items);
    }
    return null;
  }

  private static Long integer(Object value) {
    if (value instanceof Boolean bit) {
      return bit ? 1L : 0L;
    }
    if (value instanceof Moment moment) {
      return moment.units();
    }
    if (value instanceof Clock clock) {
      return clock.digits() > 3 ? clock.units() : null;
    }
    try {
      if (value instanceof Whole whole) {
        return whole.value().longValueExact();
      }
      if (value instanceof Float || value instanceof Double) {
        return new BigDecimal(((Number) value).doubleValue()).longValueExact();
      }
      if (value instanceof BigDecimal decimal) {
        return decimal.longValueExact();
      }
      String text = string(value);
      if (text != null && INTEGER.matcher(text).matches()) {
        boolean hex = text.toLowerCase(Locale.ROOT).contains("x");
        String digits = hex ? text.replaceFirst("0[xX]", "") : text;
        return new BigInteger(digits, hex ? 16 : 10).longValueExact();
      }
    } catch (ArithmeticException | NumberFormatException error) {
      return null;
    }
    return null;
  }

  private static Double real(Object value) {
    if (value instanceof Boolean bit) {
      return bit ? 1.0 : 0.0;
    }
    if (value instanceof Float || value instanceof Double || value instanceof BigDecimal) {
      return ((Number) value).doubleValue();
    }
    if (value instanceof Whole whole) {
      boolean fits = whole.value().abs().compareTo(BigInteger.valueOf(EXACT)) <= 0;
      return fits ? (Double) whole.value().doubleValue() : null;
    }
    String text = string(value);
    if (text == null) {
      return null;
    }
    Matcher endless = ENDLESS.matcher(text.toLowerCase(Locale.ROOT));
    if (endless.matches()) {
      double size = endless.group(2).equals("nan") ? Double.NaN : Double.POSITIVE_INFINITY;
      return endless.group(1).equals("-") ? -size : size;
    }
    return REAL.matcher(text).matches() ? (Double) Double.parseDouble(text) : null;
  }

  private static String text(Object value) {
    if (value instanceof Double number) {
      return real(number.isNaN(), number, NumberOutput.toString(number, true));
    }
    if (value instanceof Float number) {
      return real(number.isNaN(), number, NumberOutput.toString(number, true));
    }
    if (value instanceof Moment moment) {
      return moment.sql();
    }
    if (value instanceof Clock clock) {
      return clock.sql();
    }
    if (value instanceof List || value instanceof Map) {
      return null;
    }
    return value instanceof byte[] ? string(value) : value.toString();
  }

  private static String real(boolean none, double value, String shortest) {
    if (none) {
      return "nan";
    }
    if (Double.isInfinite(value)) {
      return value > 0 ? "inf" : "-inf";
    }
    return Json.formatted(shortest, -6, 10, false);
  }

  private static LocalDate day(Object value) {
    if (value instanceof Moment moment) {
      return moment.instant().atOffset(ZoneOffset.UTC).toLocalDate();
    }
    if (value instanceof Whole whole && whole.bits() == 32) {
      return LocalDate.ofEpochDay(whole.value().longValue());
    }
    String text = string(value);
    if (text == null || !text.matches("[0-9]{4}-[0-9]{2}-[0-9]{2}")) {
      return null;
    }
    try {
      return LocalDate.parse(text);
    } catch (java.time.DateTimeException error) {
      return null;
    }
  }

  private static Long time_us(Object value) {
    try {
      if (value instanceof Whole whole) {
        return whole.value().longValueExact();
      }
      if (value instanceof LocalDate day) {
        return Math.multiplyExact(day.toEpochDay(), 86_400_000_000L);
      }
      if (value instanceof Moment moment) {
        return switch (moment.digits()) {
          case 3 -> Math.multiplyExact(moment.units(), 1000L);
          case 6 -> moment.units();
          default -> moment.units() % 1000 == 0 ? (Long) (moment.units() / 1000) : null;
        };
      }
      String text = string(value);
      Matcher found = text == null ? null : TIME.matcher(text);
      if (found == null || !found.matches()) {
        return null;
      }
      String minute = found.group(3) == null ? "00" : found.group(3);
      String second = found.group(4) == null ? "00" : found.group(4);
      LocalDateTime local =
          LocalDateTime.parse(
              found.group(1) + "T" + LocalTime.parse(found.group(2) + ":" + minute + ":" + second));
      Instant instant = OffsetDateTime.of(local, ZoneOffset.of(zone(found.group(5)))).toInstant();
      return instant.getEpochSecond() * 1_000_000L + instant.getNano() / 1000;
    } catch (ArithmeticException | java.time.DateTimeException error) {
      return null;
    }
  }

  private static String zone(String text) {
    return text.length() == 5 ? text.substring(0, 3) + ":" + text.substring(3) : text;
  }

  /** A text, or the text of bytes. */
  private static String string(Object value) {
    if (value instanceof byte[] bytes) {
      try {
        return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
      } catch (CharacterCodingException error) {
        return null;
      }
    }
    return value instanceof String text ? text : null;
  }
}
